module musterhost

go 1.22
