"""The edge towards the Synadia Agent Protocol for NATS, in both directions.

facade         every council is an agent that its callers can discover and prompt
conversation   one prompt to a council, from the request to the last chunk
engine         one of its agents gives seats their texts
"""
