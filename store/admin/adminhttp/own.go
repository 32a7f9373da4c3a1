package adminhttp

// ownRoutes are the routes of our own API, below ownPrefix.
func (h *handler) ownRoutes() []route { return nil }
