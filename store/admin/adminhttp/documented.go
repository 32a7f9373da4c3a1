package adminhttp

func (h *handler) documentedRoutes() []route { return nil }
