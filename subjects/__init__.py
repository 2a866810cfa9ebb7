"""Where it is said: every subject, stream and consumer, as data and pure functions.

    deliberation.request|cancel                  request/reply   client -> dispatcher
    deliberation.get|wait|list|recount|stats     request/reply   client -> query responder
    deliberation.council.create|get|list|delete  request/reply   client -> council registry
    deliberation.completed|failed|timeout|cancelled   live       outcome, once, after it is stored
    deliberation.progress.<task_id>                   live       agent -> whoever watches

    deliberation.opened.<task_id>                stored  dispatcher -> dispatcher, collector
    deliberation.round.<task_id>                 stored  collector -> dispatcher, agents
    agent.request.<queue>                        stored  dispatcher -> agents, shared work
    agent.response.<task_id>                     stored  agent -> collector
    deliberation.outcome.<status>.<task_id>      stored  collector or canceller -> everyone
    deliberation.council.stored.<role>           stored  council registry -> everyone
    deliberation.dead.stored.<sequence>          stored  whoever cannot process a message

A token is `[A-Za-z0-9_-]{1,64}`. Nothing that a client or a model wrote becomes a subject unless
it is such a token.
"""
