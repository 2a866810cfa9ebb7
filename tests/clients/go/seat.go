// A seat in a council, held by a Go program, with the official github.com/nats-io/nats.go.
//
//	seat DEV go-guest
//
// It prints what it was told on joining, then each request that it answers. SIGTERM or Ctrl-C: it
// finishes what it has in hand and gives the seat up.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

type object = map[string]interface{}

// joined is what the registry says of a seat, as far as this program needs it.
type joined struct {
	Lease            string  `json:"lease"`
	Stream           string  `json:"stream"`
	Consumer         string  `json:"consumer"`
	RequestSubject   string  `json:"request_subject"`
	ResponseSubject  string  `json:"response_subject"`
	ProgressSubject  string  `json:"progress_subject"`
	HeartbeatSubject string  `json:"heartbeat_subject"`
	HeartbeatSeconds float64 `json:"heartbeat_seconds"`
	AckWaitSeconds   float64 `json:"ack_wait_seconds"`
	MaxConcurrency   int     `json:"max_concurrency"`
}

// request is what the seat is asked, as far as this program needs it.
type request struct {
	TaskID         string          `json:"task_id"`
	Round          int             `json:"round"`
	Seat           string          `json:"seat"`
	Stage          string          `json:"stage"`
	Token          string          `json:"token"`
	ResponseSchema json.RawMessage `json:"response_schema"`
}

// refused is the registry's typed error.
type refused struct {
	Code, Message string
}

func (r refused) Error() string { return r.Code + ": " + r.Message }

// seat is this program's place in a council.
type seat struct {
	nc         *nats.Conn
	js         nats.JetStreamContext
	role, name string
	joined     joined
}

// call sends a request in JSON and decodes its reply, or returns refused.
func (s *seat) call(subject string, message object, reply interface{}) error {
	body, _ := json.Marshal(message)
	answer, err := s.nc.Request(subject, body, 5*time.Second)
	if err != nil {
		return err
	}
	if answer.Header.Get("Nats-Service-Error-Code") != "" {
		var told struct{ Error refused }
		if err := json.Unmarshal(answer.Data, &told); err != nil {
			return err
		}
		return told.Error
	}
	return json.Unmarshal(answer.Data, reply)
}

func (s *seat) join() error {
	wanted := object{"role": s.role, "seat": s.name, "max_concurrency": 4}
	wanted["capabilities"] = []string{"go"}
	if s.joined.Lease != "" {
		wanted["lease"] = s.joined.Lease
	}
	return s.call("deliberation.council.join", wanted, &s.joined)
}

// beat says again and again that the seat is held, and takes it again if it was taken away.
func (s *seat) beat() {
	for {
		time.Sleep(time.Duration(s.joined.HeartbeatSeconds * float64(time.Second)))
		var alive object
		mine := object{"role": s.role, "seat": s.name, "lease": s.joined.Lease}
		var no refused
		err := s.call(s.joined.HeartbeatSubject, mine, &alive)
		if errors.As(err, &no) && no.Code == "unknown_seat" {
			err = s.join()
		}
		if err != nil {
			log.Print(err)
		}
	}
}

// answer is what this seat has to say: put your own agent here.
func answer(asked request) string {
	if len(asked.ResponseSchema) > 0 {
		return anyBallot(asked.ResponseSchema)
	}
	return fmt.Sprintf("As %s I would measure first, then change one thing.", asked.Seat)
}

// anyBallot is the first ranking that a ballot's JSON Schema allows.
func anyBallot(schema json.RawMessage) string {
	var ballot struct {
		Properties struct {
			Ranking struct {
				Enum  [][]string
				Items struct{ Enum []string }
			}
		}
	}
	_ = json.Unmarshal(schema, &ballot)
	ranking := ballot.Properties.Ranking.Items.Enum
	if whole := ballot.Properties.Ranking.Enum; len(whole) > 0 {
		ranking = whole[0]
	}
	body, _ := json.Marshal(object{"ranking": ranking, "approve": []string{}})
	return string(body)
}

// take answers one request: it tells that it is in work, and stores the answer.
func (s *seat) take(delivery *nats.Msg) error {
	var asked request
	if err := json.Unmarshal(delivery.Data, &asked); err != nil {
		return delivery.Term()
	}
	_ = delivery.InProgress()
	ticker := time.NewTicker(time.Duration(s.joined.AckWaitSeconds * float64(time.Second) / 3))
	defer ticker.Stop()
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-ticker.C:
				_ = delivery.InProgress()
			case <-done:
				return
			}
		}
	}()
	at := func(subject string) string { return strings.Replace(subject, "{task_id}", asked.TaskID, 1) }
	live := func(event object) {
		event["task_id"], event["round"], event["seat"] = asked.TaskID, asked.Round, asked.Seat
		body, _ := json.Marshal(event)
		_ = s.nc.Publish(at(s.joined.ProgressSubject), body)
	}
	live(object{"event": "seat_started", "stage": asked.Stage, "engine": "go"})
	content := answer(asked)
	live(object{"event": "delta", "text": content, "offset": 0})
	body, _ := json.Marshal(object{
		"task_id": asked.TaskID, "round": asked.Round, "seat": asked.Seat, "token": asked.Token,
		"content": content, "engine": "go", "created_at_ms": time.Now().UnixMilli(),
	})
	// A second delivery stores the same answer under the same id, which is dropped.
	id := fmt.Sprintf("response.%s.%d.%s.%s", asked.TaskID, asked.Round, asked.Seat, asked.Token)
	if _, err := s.js.Publish(at(s.joined.ResponseSubject), body, nats.MsgId(id)); err != nil {
		return err // not acknowledged: it is delivered again
	}
	live(object{"event": "seat_answered"})
	said, _ := json.Marshal(object{"answered": asked.Stage, "task_id": asked.TaskID, "round": asked.Round})
	fmt.Println(string(said))
	return delivery.Ack()
}

func main() {
	url := os.Getenv("NATS_URL")
	if url == "" {
		url = nats.DefaultURL
	}
	s := &seat{role: os.Args[1], name: os.Args[2]}
	var err error
	if s.nc, err = nats.Connect(url, nats.Name(s.name), nats.MaxReconnects(-1)); err != nil {
		log.Fatal(err)
	}
	if s.js, err = s.nc.JetStream(); err != nil {
		log.Fatal(err)
	}
	if err = s.join(); err != nil {
		log.Fatal(err)
	}
	told, _ := json.Marshal(object{"lease": s.joined.Lease, "consumer": s.joined.Consumer})
	fmt.Println(string(told))
	go s.beat()

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	bound := nats.Bind(s.joined.Stream, s.joined.Consumer)
	requests, err := s.js.PullSubscribe(s.joined.RequestSubject, s.joined.Consumer, bound)
	if err != nil {
		log.Fatal(err)
	}
	var inHand sync.WaitGroup
	for {
		select {
		case <-stop:
			inHand.Wait()
			var left object
			mine := object{"role": s.role, "seat": s.name, "lease": s.joined.Lease}
			if err := s.call("deliberation.council.leave", mine, &left); err != nil {
				log.Fatal(err)
			}
			return
		default:
		}
		deliveries, err := requests.Fetch(s.joined.MaxConcurrency, nats.MaxWait(time.Second))
		if err != nil && !errors.Is(err, nats.ErrTimeout) {
			log.Print(err)
			time.Sleep(time.Second)
		}
		for _, delivery := range deliveries {
			inHand.Add(1)
			go func(delivery *nats.Msg) {
				defer inHand.Done()
				if err := s.take(delivery); err != nil {
					log.Print(err)
				}
			}(delivery)
		}
	}
}
