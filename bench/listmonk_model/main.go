// A model of how listmonk sends, written for these benchmarks from what is publicly known of its design. It is not
// listmonk and holds none of its code.
//
// One goroutine fetches a batch of subscribers and renders every message; a fixed number of workers build the MIME
// message and hand it over, each over one kept connection, in five round trips: MAIL, RCPT, DATA, the final dot, RSET.
// Nothing is written per recipient; only the id of the last subscriber of each batch is stored. There is no rate limit,
// no logging and no counter, which flatters it.
package main

import (
	"bufio"
	"bytes"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	htmltemplate "html/template"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"syscall"
	texttemplate "text/template"
	"time"

	_ "github.com/lib/pq"
)

type subscriber struct {
	ID      int64
	UUID    string
	Email   string
	Attribs map[string]interface{}
}

type message struct {
	to      string
	uuid    string
	subject string
	html    []byte
	text    []byte
}

const nextBatch = `
WITH following AS (
	SELECT s.id, s.uuid, s.email, s.attribs FROM bench_subscriber s
	JOIN bench_subscription l ON l.subscriber_id = s.id AND l.list_id = $2 AND l.status <> 'unsubscribed'
	WHERE s.id > (SELECT last_subscriber_id FROM bench_campaign WHERE id = $1) AND s.status = 'enabled'
	ORDER BY s.id LIMIT $3
), moved AS (
	UPDATE bench_campaign SET last_subscriber_id = (SELECT max(id) FROM following)
	WHERE id = $1 AND EXISTS (SELECT FROM following)
)
SELECT id, uuid, email, attribs FROM following ORDER BY id`

func main() {
	dsn := flag.String("db", "", "PostgreSQL connection string")
	address := flag.String("smtp", "", "host:port of the sink")
	campaign := flag.Int("campaign", 1, "campaign id")
	list := flag.Int("list", 1, "list id")
	batch := flag.Int("batch", 1000, "subscribers fetched at once")
	workers := flag.Int("workers", 10, "connections")
	htmlFile := flag.String("html", "", "template file")
	textFile := flag.String("text", "", "template file")
	subject := flag.String("subject", "", "template")
	flag.Parse()

	db, err := sql.Open("postgres", *dsn)
	must(err)
	must(db.Ping())

	started := time.Now()
	queue := make(chan message, *workers*2)
	var all sync.WaitGroup
	sent := make([]int, *workers)
	for i := 0; i < *workers; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			sent[i] = work(*address, queue)
		}(i)
	}
	produce(db, *campaign, *list, *batch, *subject, *htmlFile, *textFile, queue)
	close(queue)
	all.Wait()
	took := time.Since(started).Seconds()

	total := 0
	for _, n := range sent {
		total += n
	}
	var used syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	cpu := seconds(used.Utime) + seconds(used.Stime)
	fmt.Printf("{\"messages\":%d,\"seconds\":%f,\"cpu_s\":%f}\n", total, took, cpu)
}

// produce fetches and renders, in one goroutine.
func produce(db *sql.DB, campaign, list, batch int, subject, htmlFile, textFile string, queue chan<- message) {
	var current *subscriber
	link := func(url string) string {
		return "https://t.example.com/link/" + linkID(url) + "/campaign/" + current.UUID
	}
	leave := func() string { return "https://t.example.com/subscription/campaign/" + current.UUID }
	shops := func() []string { return strings.Split("Oslo,Bergen,Paris,London", ",") }
	functions := map[string]interface{}{"TrackLink": link, "UnsubscribeURL": leave, "Shops": shops}
	page := htmltemplate.Must(htmltemplate.New("html").Funcs(functions).Parse(read(htmlFile)))
	plain := texttemplate.Must(texttemplate.New("text").Funcs(functions).Parse(read(textFile)))
	line := texttemplate.Must(texttemplate.New("subject").Parse(subject))

	for {
		people := fetch(db, campaign, list, batch)
		if len(people) == 0 {
			return
		}
		for i := range people {
			current = &people[i]
			var html, text, title bytes.Buffer
			must(page.Execute(&html, current))
			must(plain.Execute(&text, current))
			must(line.Execute(&title, current))
			queue <- message{current.Email, current.UUID, title.String(), html.Bytes(), text.Bytes()}
		}
	}
}

func fetch(db *sql.DB, campaign, list, batch int) []subscriber {
	rows, err := db.Query(nextBatch, campaign, list, batch)
	must(err)
	defer rows.Close()
	people := make([]subscriber, 0, batch)
	for rows.Next() {
		var one subscriber
		var attribs []byte
		must(rows.Scan(&one.ID, &one.UUID, &one.Email, &attribs))
		must(json.Unmarshal(attribs, &one.Attribs))
		people = append(people, one)
	}
	must(rows.Err())
	return people
}

func linkID(url string) string {
	if at := strings.LastIndex(url, "/"); at >= 0 {
		return strings.SplitN(url[at+1:], "?", 2)[0]
	}
	return "0"
}

// work builds and hands over messages over one kept connection.
func work(address string, queue <-chan message) int {
	connection, err := net.Dial("tcp", address)
	must(err)
	wire := textproto.NewConn(connection)
	defer wire.Close()
	answer(wire, 220)
	command(wire, 250, "EHLO model.example")
	done := 0
	for m := range queue {
		body := build(m)
		command(wire, 250, "MAIL FROM:<club@news.northwind.example>")
		command(wire, 250, "RCPT TO:<%s>", m.to)
		command(wire, 354, "DATA")
		dot := wire.DotWriter()
		_, err := dot.Write(body)
		must(err)
		must(dot.Close())
		answer(wire, 250)
		command(wire, 250, "RSET")
		done++
	}
	command(wire, 221, "QUIT")
	return done
}

func command(wire *textproto.Conn, expected int, format string, values ...interface{}) {
	must(wire.PrintfLine(format, values...))
	answer(wire, expected)
}

func answer(wire *textproto.Conn, expected int) {
	_, _, err := wire.ReadResponse(expected)
	must(err)
}

// build makes the MIME message anew for each recipient.
func build(m message) []byte {
	var out bytes.Buffer
	buffered := bufio.NewWriter(&out)
	parts := multipart.NewWriter(buffered)
	header := func(name, value string) { fmt.Fprintf(buffered, "%s: %s\r\n", name, value) }
	header("MIME-Version", "1.0")
	header("From", "Northwind Club <club@news.northwind.example>")
	header("To", m.to)
	header("Subject", mime.QEncoding.Encode("utf-8", m.subject))
	header("Message-Id", "<"+m.uuid+"@news.northwind.example>")
	header("Date", time.Now().Format(time.RFC1123Z))
	header("List-Unsubscribe", "<https://t.example.com/subscription/campaign/"+m.uuid+">")
	header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
	header("Content-Type", "multipart/alternative; boundary="+parts.Boundary())
	fmt.Fprint(buffered, "\r\n")
	part(parts, "text/plain", m.text)
	part(parts, "text/html", m.html)
	must(parts.Close())
	must(buffered.Flush())
	return out.Bytes()
}

func part(parts *multipart.Writer, kind string, content []byte) {
	header := textproto.MIMEHeader{}
	header.Set("Content-Type", kind+"; charset=utf-8")
	header.Set("Content-Transfer-Encoding", "quoted-printable")
	into, err := parts.CreatePart(header)
	must(err)
	coded := quotedprintable.NewWriter(into)
	_, err = coded.Write(content)
	must(err)
	must(coded.Close())
}

func read(file string) string {
	content, err := os.ReadFile(file)
	must(err)
	return string(content)
}

func seconds(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
