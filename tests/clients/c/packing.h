/* JSON to MessagePack and back, by cJSON and msgpack-c: what `--msgpack` of client.c needs. */
#include <cJSON.h>
#include <math.h>
#include <msgpack.h>
#include <string.h>

static void pack(msgpack_packer *to, const cJSON *value) {
    if (cJSON_IsString(value))
        msgpack_pack_str_with_body(to, value->valuestring, strlen(value->valuestring));
    else if (cJSON_IsBool(value))
        cJSON_IsTrue(value) ? msgpack_pack_true(to) : msgpack_pack_false(to);
    else if (cJSON_IsNull(value))
        msgpack_pack_nil(to);
    else if (cJSON_IsNumber(value)) /* JSON has one kind of number: 3.0 goes out as the integer 3 */
        floor(value->valuedouble) == value->valuedouble && fabs(value->valuedouble) < 9.2e18
            ? msgpack_pack_int64(to, (int64_t)value->valuedouble)
            : msgpack_pack_double(to, value->valuedouble);
    else {
        const cJSON *part;
        size_t parts = (size_t)cJSON_GetArraySize(value);
        cJSON_IsArray(value) ? msgpack_pack_array(to, parts) : msgpack_pack_map(to, parts);
        cJSON_ArrayForEach(part, value) {
            if (part->string)
                msgpack_pack_str_with_body(to, part->string, strlen(part->string));
            pack(to, part);
        }
    }
}

/* A C string of the bytes of a MessagePack string; its holder frees it. */
static char *text_of(const msgpack_object *value) {
    return strndup(value->via.str.ptr, value->via.str.size);
}

static cJSON *json_of(const msgpack_object *value) {
    cJSON *json = NULL;
    char *text;
    switch (value->type) {
    case MSGPACK_OBJECT_NIL:
        return cJSON_CreateNull();
    case MSGPACK_OBJECT_BOOLEAN:
        return cJSON_CreateBool(value->via.boolean);
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        return cJSON_CreateNumber((double)value->via.u64);
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return cJSON_CreateNumber((double)value->via.i64);
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return cJSON_CreateNumber(value->via.f64);
    case MSGPACK_OBJECT_STR:
        json = cJSON_CreateString(text = text_of(value));
        free(text);
        return json;
    case MSGPACK_OBJECT_ARRAY:
        json = cJSON_CreateArray();
        for (uint32_t i = 0; i < value->via.array.size; i++)
            cJSON_AddItemToArray(json, json_of(&value->via.array.ptr[i]));
        return json;
    case MSGPACK_OBJECT_MAP:
        json = cJSON_CreateObject();
        for (uint32_t i = 0; i < value->via.map.size; i++) {
            cJSON_AddItemToObject(json, text = text_of(&value->via.map.ptr[i].key),
                                  json_of(&value->via.map.ptr[i].val));
            free(text);
        }
        return json;
    default: /* no message of ours holds binary or extension values */
        return NULL;
    }
}

/* MessagePack as JSON text, or NULL when it is none; its holder frees it. */
static char *unpacked(const char *bytes, size_t size) {
    msgpack_unpacked result;
    char *text = NULL;
    msgpack_unpacked_init(&result);
    if (msgpack_unpack_next(&result, bytes, size, NULL) == MSGPACK_UNPACK_SUCCESS) {
        cJSON *json = json_of(&result.data);
        text = cJSON_PrintUnformatted(json);
        cJSON_Delete(json);
    }
    msgpack_unpacked_destroy(&result);
    return text;
}
