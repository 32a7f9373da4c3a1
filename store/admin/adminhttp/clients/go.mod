module github.com/sallyport-go/sallyport/store/admin/adminhttp/clients

go 1.26.0

require (
	github.com/mongodb-forks/digest v1.1.0
	github.com/sallyport-go/sallyport v0.0.0
	github.com/stretchr/testify v1.12.1
	go.mongodb.org/atlas v0.38.0
)

require (
	github.com/google/go-querystring v1.1.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	go4.org/netipx v0.0.0-20260823151212-3075585bcbeb // indirect
)

replace github.com/sallyport-go/sallyport => ../../../..
