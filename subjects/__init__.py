"""Where it is said: every subject, stream and consumer, as data and pure functions.

    deliberation.request|cancel                  request/reply   client -> dispatcher
    deliberation.get|wait|list|recount|stats     request/reply   client -> query responder
    deliberation.contract                        request/reply   client -> query responder
    deliberation.dead.list|get|retry|drop        request/reply   client -> dead letter office
    deliberation.council.create|get|list|delete  request/reply   client -> council registry
    deliberation.council.join|leave              request/reply   foreign seat -> council registry
    agent.heartbeat.<queue>                           live       foreign seat -> council registry
    deliberation.completed|failed|timeout|cancelled   live       outcome, once, after it is stored
    deliberation.progress.<task_id>                   live       agent -> whoever watches
    deliberation.load                                 live       collector -> dispatchers

    deliberation.submit.<task_id>                stored  client -> dispatcher, whoever is there
    deliberation.opened.<task_id>                stored  dispatcher -> dispatcher, collector
    deliberation.round.<task_id>                 stored  collector -> dispatcher, agents
    agent.request.<queue>                        stored  dispatcher -> agents, shared work
    agent.response.<task_id>                     stored  agent -> collector
    deliberation.outcome.<status>.<task_id>      stored  collector or canceller -> everyone
    deliberation.council.stored.<role>           stored  council registry -> everyone
    deliberation.dead.stored.<sequence>          stored  whoever cannot process a message

    agents.prompt|status.conclave.<owner>.<role>  request/reply   Synadia caller -> facade
    agents.hb.conclave.<owner>.<role>                 live       facade -> Synadia callers

A token is `[A-Za-z0-9_-]{1,64}`. Nothing that a client or a model wrote becomes a subject unless
it is such a token.
"""
