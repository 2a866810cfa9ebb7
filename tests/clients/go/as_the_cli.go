// What the nats CLI asks of nats.go in `nats req` (cli/req_command.go), `nats micro info`
// (cli/util.go, doReqAsync) and of JetStream, one after the other, with nobody answering.
package main

import (
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

func main() {
	nc, err := nats.Connect(os.Args[1], nats.Name("NATS CLI Version 0.4.0"))
	if err != nil {
		panic(err)
	}
	send := func(subject, body, header string, most int) {
		message := nats.NewMsg(subject)
		message.Data = []byte(body)
		message.Reply = nc.NewRespInbox()
		if header != "" {
			message.Header.Set("Accept-Encoding", header)
		}
		subscription, _ := nc.SubscribeSync(message.Reply)
		if most > 0 {
			subscription.AutoUnsubscribe(most)
		}
		nc.PublishMsg(message)
		subscription.NextMsg(100 * time.Millisecond)
		subscription.Unsubscribe()
	}
	send("deliberation.list", `{"limit": 1}`, "", 0)
	send("$SRV.INFO.conclave-agent", "{}", "snappy", 1)
	nc.Request("$JS.API.STREAM.INFO.DELIBERATIONS", nil, 100*time.Millisecond)
	nc.Publish("$JS.ACK.x", []byte("+ACK"))
	nc.Flush()
	nc.Close()
}
