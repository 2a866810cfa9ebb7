// A council's client in Go, with the official github.com/nats-io/nats.go.
//
//	client ask '{"task_description": "How do we retry payments?", "role": "DEV"}'
//	client call deliberation.list '{"limit": 5}'     any request; --msgpack before it
//	client watch 'deliberation.>'                    events, until Ctrl-C
//	client outcomes READER COUNT                     what completed since READER last read
//	client decode FILE...                            stored messages, as JSON
//
// Every line it prints is a subject and a message. Exit codes: 1 refused, 2 nobody answered.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
	"github.com/vmihailenco/msgpack/v5" // only for --msgpack
)

var outcomeSubjects = []string{
	"deliberation.completed", "deliberation.failed", "deliberation.timeout", "deliberation.cancelled",
}

const packed = "application/msgpack"

type object = map[string]interface{}

// Refused is the council's typed error: a stable code, a sentence, and the field concerned.
type Refused struct {
	Number              string
	Code, Message, Path string
}

func (r *Refused) Error() string {
	return fmt.Sprintf("refused: %s %s: %s", r.Number, r.Code, r.Message)
}

// event is what somebody said on a subject.
type event struct {
	subject string
	body    []byte // JSON
}

func (e event) print() { fmt.Printf("%s %s\n", e.subject, e.body) }

// call sends a request in JSON and returns the reply in JSON, or *Refused.
func call(nc *nats.Conn, subject string, body []byte, asMsgpack bool) ([]byte, error) {
	timeout := 10 * time.Second
	if strings.HasSuffix(subject, ".wait") {
		timeout = 310 * time.Second
	}
	message := &nats.Msg{Subject: subject, Data: body}
	if asMsgpack {
		message.Header = nats.Header{"Content-Type": {packed}}
		message.Data = pack(body)
	}
	reply, err := nc.RequestMsg(message, timeout)
	if err != nil {
		return nil, err
	}
	if reply.Header.Get("Content-Type") == packed {
		reply.Data = unpack(reply.Data)
	}
	number := reply.Header.Get("Nats-Service-Error-Code")
	if number == "" {
		return reply.Data, nil
	}
	event{subject, reply.Data}.print()
	var refusal struct{ Error Refused }
	if err := json.Unmarshal(reply.Data, &refusal); err != nil {
		return nil, err
	}
	refusal.Error.Number = number
	return nil, &refusal.Error
}

// waitFor returns the outcome when it is there, also while the system is coming back.
func waitFor(nc *nats.Conn, taskID string) ([]byte, error) {
	query, _ := json.Marshal(object{"task_id": taskID})
	for {
		outcome, err := call(nc, "deliberation.wait", query, false)
		var refused *Refused
		if err == nil || errors.As(err, &refused) {
			return outcome, err
		}
		time.Sleep(200 * time.Millisecond) // anything but a refusal passes
	}
}

// ask prints the acknowledgement, all progress and the outcome of one deliberation.
func ask(nc *nats.Conn, body []byte) error {
	var request object
	if err := json.Unmarshal(body, &request); err != nil {
		return err
	}
	taskID, own := request["task_id"].(string)
	if !own {
		taskID = nuid.Next() // one's own id: known before anything happens
		request["task_id"] = taskID
		body, _ = json.Marshal(request)
	}

	heard := make(chan *nats.Msg, 1024)
	for _, subject := range append(outcomeSubjects, "deliberation.progress."+taskID) {
		if _, err := nc.ChanSubscribe(subject, heard); err != nil {
			return err
		}
	}
	back := make(chan struct{}, 1)
	nc.SetReconnectHandler(func(*nats.Conn) {
		select {
		case back <- struct{}{}:
		default: // known already
		}
	})

	accepted, err := call(nc, "deliberation.request", body, false)
	if err != nil {
		return err
	}
	event{"deliberation.request", accepted}.print()

	for {
		select {
		case message := <-heard:
			var outcome struct {
				TaskID string `json:"task_id"`
			}
			if err := json.Unmarshal(message.Data, &outcome); err != nil {
				return err
			}
			if outcome.TaskID != taskID {
				continue
			}
			event{message.Subject, message.Data}.print()
			if !strings.HasPrefix(message.Subject, "deliberation.progress.") {
				return nil
			}
		case <-back: // events pass by once: what was missed meanwhile is asked for
			outcome, err := waitFor(nc, taskID)
			if err == nil {
				event{"deliberation.wait", outcome}.print()
			}
			return err
		}
	}
}

// watch prints what passes by on these subjects, for ever.
func watch(nc *nats.Conn, subjects []string) error {
	heard := make(chan *nats.Msg, 1024)
	for _, subject := range subjects {
		if _, err := nc.ChanSubscribe(subject, heard); err != nil {
			return err
		}
	}
	if err := nc.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "watching")
	for message := range heard {
		event{message.Subject, message.Data}.print()
	}
	return nil
}

// outcomes prints the next count outcomes; each is read once, however often this runs.
func outcomes(nc *nats.Conn, reader string, count int) error {
	js, err := nc.JetStream()
	if err != nil {
		return err
	}
	completed, err := js.PullSubscribe(
		"deliberation.outcome.completed.*", reader, nats.BindStream("DELIBERATIONS"))
	if err != nil {
		return err
	}
	messages, err := completed.Fetch(count, nats.MaxWait(time.Second))
	for _, message := range messages {
		event{message.Subject, message.Data}.print()
		if err := message.AckSync(); err != nil {
			return err
		}
	}
	return err
}

func pack(body []byte) []byte {
	var value interface{}
	check(json.Unmarshal(body, &value))
	var packed bytes.Buffer
	encoder := msgpack.NewEncoder(&packed)
	encoder.UseCompactFloats(true) // JSON has one kind of number: 3.0 goes out as the integer 3
	check(encoder.Encode(value))
	return packed.Bytes()
}

func unpack(body []byte) []byte {
	var value interface{}
	check(msgpack.Unmarshal(body, &value))
	plain, err := json.Marshal(value)
	check(err)
	return plain
}

func decode(file string) {
	body, err := os.ReadFile(file)
	check(err)
	if strings.HasSuffix(file, ".msgpack") {
		body = unpack(body)
	}
	var value interface{}
	check(json.Unmarshal(body, &value))
	plain, _ := json.Marshal(value)
	event{file, plain}.print()
}

// check ends the program: 1 when the council refused, 2 for everything else.
func check(err error) {
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, err)
	var refused *Refused
	if errors.As(err, &refused) {
		os.Exit(1)
	}
	os.Exit(2)
}

func main() {
	command, words := os.Args[1], append(os.Args[2:], "{}")
	if command == "decode" {
		for _, file := range os.Args[2:] {
			decode(file)
		}
		return
	}
	url := os.Getenv("NATS_URL")
	if url == "" {
		url = nats.DefaultURL
	}
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(200*time.Millisecond))
	check(err)
	defer nc.Close()
	switch command {
	case "ask":
		check(ask(nc, []byte(words[0])))
	case "watch":
		check(watch(nc, os.Args[2:]))
	case "outcomes":
		count, err := strconv.Atoi(words[1])
		check(err)
		check(outcomes(nc, words[0], count))
	case "call":
		asMsgpack := words[0] == "--msgpack"
		if asMsgpack {
			words = words[1:]
		}
		reply, err := call(nc, words[0], []byte(words[1]), asMsgpack)
		check(err)
		event{words[0], reply}.print()
	}
}
