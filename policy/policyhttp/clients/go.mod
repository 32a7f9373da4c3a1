module github.com/sallyport-go/sallyport/policy/policyhttp/clients

go 1.26.0

require (
	github.com/icholy/digest v1.2.0
	github.com/mongodb-forks/digest v1.1.0
	github.com/pires/go-proxyproto v0.15.0
	github.com/sallyport-go/sallyport v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	go4.org/netipx v0.0.0-20260823151212-3075585bcbeb // indirect
)

replace github.com/sallyport-go/sallyport => ../../..
