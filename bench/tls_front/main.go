// TLS in front of a sink that has none: accepts, decrypts, passes on. For the TLS rung of the ladder.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
)

func main() {
	listen := flag.String("listen", "", "host:port")
	target := flag.String("target", "", "host:port of the sink")
	cert := flag.String("cert", "", "certificate file")
	key := flag.String("key", "", "key file")
	flag.Parse()
	pair, err := tls.LoadX509KeyPair(*cert, *key)
	must(err)
	server, err := tls.Listen("tcp", *listen, &tls.Config{Certificates: []tls.Certificate{pair}})
	must(err)
	for {
		from, err := server.Accept()
		must(err)
		go pass(from, *target)
	}
}

func pass(from net.Conn, target string) {
	defer from.Close()
	to, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer to.Close()
	go func() {
		io.Copy(from, to)
		from.Close()
	}()
	io.Copy(to, from)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
