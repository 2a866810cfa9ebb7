/* A council's client in C, with the official nats.c (Debian: libnats-dev).
 *
 *   cc client.c -o client $(pkg-config --cflags --libs libnats libcjson msgpack) -lm -lpthread
 *   (newer msgpack-c: msgpack-c instead of msgpack)
 *
 *   client ask '{"task_description": "How do we retry payments?", "role": "DEV"}'
 *   client call deliberation.list '{"limit": 5}'     any request; --msgpack before it
 *   client watch 'deliberation.>'                    events, until Ctrl-C
 *   client decode FILE...                            stored messages, as JSON
 *
 * Every line it prints is a subject and a message. Exit codes: 1 refused, 2 nobody answered. */
#include <limits.h>
#include <nats/nats.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "packing.h" /* only for --msgpack */

#define PACKED "application/msgpack"

enum { ANSWERED, REFUSED, UNANSWERED };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const char *task_id;
    bool over, reconnected;
} state = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, false, false};

static void print(const char *subject, const char *message, int length) {
    printf("%s %.*s\n", subject, length, message);
    fflush(stdout);
}

/* Print a message in MessagePack as JSON. */
static void print_packed(const char *subject, const char *bytes, int length) {
    char *text = unpacked(bytes, (size_t)length);
    print(subject, text ? text : "not MessagePack", text ? (int)strlen(text) : 15);
    free(text);
}

/* End the program when NATS said that something went wrong. */
static void check(natsStatus status) {
    if (status != NATS_OK) {
        fprintf(stderr, "%s\n", natsStatus_GetText(status));
        exit(UNANSWERED);
    }
}

/* The parsed message; ends the program when it is none. */
static cJSON *parsed(const char *json) {
    cJSON *message = cJSON_Parse(json);
    if (!message) {
        fputs("not JSON\n", stderr);
        exit(UNANSWERED);
    }
    return message;
}

/* Send a request and print its reply; a refusal is printed with its code and number too. */
static int call(natsConnection *nc, const char *subject, const char *json, bool msgpack) {
    bool waits = strcmp(subject, "deliberation.wait") == 0;
    const char *type = NULL, *number = NULL;
    natsMsg *request = NULL, *reply = NULL;
    msgpack_sbuffer packed;

    msgpack_sbuffer_init(&packed);
    if (msgpack) {
        msgpack_packer packer;
        cJSON *message = parsed(json);
        msgpack_packer_init(&packer, &packed, msgpack_sbuffer_write);
        pack(&packer, message);
        cJSON_Delete(message);
        check(natsMsg_Create(&request, subject, NULL, packed.data, (int)packed.size));
        check(natsMsgHeader_Set(request, "Content-Type", PACKED));
    } else
        check(natsMsg_Create(&request, subject, NULL, json, (int)strlen(json)));

    natsStatus status = natsConnection_RequestMsg(&reply, nc, request, waits ? 310000 : 10000);
    natsMsg_Destroy(request);
    msgpack_sbuffer_destroy(&packed);
    if (status != NATS_OK) {
        fprintf(stderr, "%s: %s\n", subject, natsStatus_GetText(status));
        return UNANSWERED;
    }

    natsMsgHeader_Get(reply, "Content-Type", &type);
    natsMsgHeader_Get(reply, "Nats-Service-Error-Code", &number);
    (type && strcmp(type, PACKED) == 0 ? print_packed : print)(
        subject, natsMsg_GetData(reply), natsMsg_GetDataLength(reply));
    if (number) {
        const char *why = NULL;
        natsMsgHeader_Get(reply, "Nats-Service-Error", &why);
        fprintf(stderr, "refused: %s %s\n", number, why);
    }
    int result = number ? REFUSED : ANSWERED;
    natsMsg_Destroy(reply);
    return result;
}

/* Progress of this task, or the outcome of any; called on a thread of the library. */
static void on_event(natsConnection *nc, natsSubscription *sub, natsMsg *event, void *is_outcome) {
    cJSON *message = cJSON_ParseWithLength(natsMsg_GetData(event), natsMsg_GetDataLength(event));
    const char *task_id = cJSON_GetStringValue(cJSON_GetObjectItem(message, "task_id"));
    (void)nc, (void)sub;
    if (task_id && strcmp(task_id, state.task_id) == 0) {
        pthread_mutex_lock(&state.lock);
        print(natsMsg_GetSubject(event), natsMsg_GetData(event), natsMsg_GetDataLength(event));
        state.over |= is_outcome != NULL;
        pthread_cond_signal(&state.changed);
        pthread_mutex_unlock(&state.lock);
    }
    cJSON_Delete(message);
    natsMsg_Destroy(event);
}

static void on_reconnect(natsConnection *nc, void *closure) {
    (void)nc, (void)closure;
    pthread_mutex_lock(&state.lock);
    state.reconnected = true;
    pthread_cond_signal(&state.changed);
    pthread_mutex_unlock(&state.lock);
}

/* Print the acknowledgement, all progress and the outcome of one deliberation. */
static int ask(natsConnection *nc, const char *json) {
    static const char *outcomes[] = {"deliberation.completed", "deliberation.failed",
                                     "deliberation.timeout", "deliberation.cancelled"};
    natsSubscription *subscription;
    char own_id[32], progress[128], query[128];
    cJSON *request = parsed(json);

    if (!cJSON_HasObjectItem(request, "task_id")) { /* one's own id: known before anything happens */
        snprintf(own_id, sizeof own_id, "c-%lld", (long long)nats_NowInNanoSeconds());
        cJSON_AddStringToObject(request, "task_id", own_id);
    }
    state.task_id = cJSON_GetStringValue(cJSON_GetObjectItem(request, "task_id"));
    snprintf(progress, sizeof progress, "deliberation.progress.%s", state.task_id);
    check(natsConnection_Subscribe(&subscription, nc, progress, on_event, NULL));
    for (int i = 0; i < 4; i++)
        check(natsConnection_Subscribe(&subscription, nc, outcomes[i], on_event, &state));

    int result = call(nc, "deliberation.request", cJSON_PrintUnformatted(request), false);
    if (result != ANSWERED)
        return result;

    pthread_mutex_lock(&state.lock);
    while (!state.over && !state.reconnected)
        pthread_cond_wait(&state.changed, &state.lock);
    bool missed = !state.over; /* perhaps: events pass by once, so the outcome is asked for */
    pthread_mutex_unlock(&state.lock);
    snprintf(query, sizeof query, "{\"task_id\": \"%s\"}", state.task_id);
    while (missed && (result = call(nc, "deliberation.wait", query, false)) == UNANSWERED)
        nats_Sleep(200);
    return result;
}

static void on_any(natsConnection *nc, natsSubscription *sub, natsMsg *event, void *closure) {
    (void)nc, (void)sub, (void)closure;
    print(natsMsg_GetSubject(event), natsMsg_GetData(event), natsMsg_GetDataLength(event));
    natsMsg_Destroy(event);
}

/* Print what passes by on these subjects, for ever. */
static void watch(natsConnection *nc, char **subjects) {
    natsSubscription *subscription;
    for (; *subjects; subjects++)
        check(natsConnection_Subscribe(&subscription, nc, *subjects, on_any, NULL));
    check(natsConnection_Flush(nc));
    fputs("watching\n", stderr);
    for (;;)
        nats_Sleep(1000);
}

static int decode(char **files) {
    static char bytes[1 << 20];
    for (; *files; files++) {
        FILE *file = fopen(*files, "rb");
        if (!file) {
            perror(*files);
            return UNANSWERED;
        }
        size_t size = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        const char *kind = strrchr(*files, '.');
        if (kind && strcmp(kind, ".msgpack") == 0)
            print_packed(*files, bytes, (int)size);
        else {
            char *text = cJSON_PrintUnformatted(cJSON_ParseWithLength(bytes, size));
            print(*files, text, (int)strlen(text));
            free(text);
        }
    }
    return ANSWERED;
}

int main(int count, char **words) {
    natsOptions *options = NULL;
    natsConnection *nc = NULL;
    const char *url = getenv("NATS_URL");
    int result = ANSWERED;

    if (count < 3) {
        fprintf(stderr, "usage: client ask|call|watch|decode ...\n");
        return UNANSWERED;
    }
    if (strcmp(words[1], "decode") == 0)
        return decode(words + 2);
    check(natsOptions_Create(&options));
    check(natsOptions_SetURL(options, url ? url : NATS_DEFAULT_URL));
    check(natsOptions_SetMaxReconnect(options, INT_MAX));
    check(natsOptions_SetReconnectWait(options, 200));
    check(nats_SetMessageDeliveryPoolSize(1)); /* one thread: events keep their order */
    check(natsOptions_UseGlobalMessageDelivery(options, true));
    check(natsOptions_SetReconnectedCB(options, on_reconnect, NULL));
    check(natsConnection_Connect(&nc, options));
    if (strcmp(words[1], "ask") == 0)
        result = ask(nc, words[2]);
    else if (strcmp(words[1], "watch") == 0)
        watch(nc, words + 2);
    else {
        bool msgpack = strcmp(words[2], "--msgpack") == 0;
        words += msgpack;
        result = call(nc, words[2], count - msgpack > 3 ? words[3] : "{}", msgpack);
    }
    natsConnection_Destroy(nc);
    natsOptions_Destroy(options);
    return result;
}
