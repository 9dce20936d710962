"""Raw libasound for programs that use it: ``alsa_midi.alsa`` and ``alsa_midi.ffi``.

Nothing else in this package uses libasound. It is loaded when a program first uses one of the two
names. cffi loads it through the binary interface, so neither headers nor a compiler are needed.
Most of libasound's sequencer and timer functions read or write a field of an opaque structure, so
their declarations are generated from the tables below.
"""

from __future__ import annotations

import re
from typing import Any

from alsa_midi.event import EventType

_LIBRARY = "libasound.so.2"

#: Opaque structures: the name in function names and types, and the fields. A field consists of its
#: name, its C type, and its accessors: r(ead), w(rite).
_STRUCTURES: list[tuple[str, str]] = [
    (
        "seq_system_info",
        "queues:int:r clients:int:r ports:int:r channels:int:r cur_clients:int:r cur_queues:int:r",
    ),
    (
        "seq_client_info",
        "client:int:rw type:snd_seq_client_type_t:r name:const char *:rw broadcast_filter:int:rw "
        "error_bounce:int:rw card:int:r pid:int:r event_filter:const unsigned char *:r "
        "event_filter:unsigned char *:w num_ports:int:r event_lost:int:r",
    ),
    (
        "seq_client_pool",
        "client:int:r output_pool:size_t:rw input_pool:size_t:rw output_room:size_t:rw "
        "output_free:size_t:r input_free:size_t:r",
    ),
    (
        "seq_port_info",
        "client:int:rw port:int:rw addr:const snd_seq_addr_t *:rw name:const char *:rw "
        "capability:unsigned int:rw type:unsigned int:rw midi_channels:int:rw midi_voices:int:rw "
        "synth_voices:int:rw read_use:int:r write_use:int:r port_specified:int:rw "
        "timestamping:int:rw timestamp_real:int:rw timestamp_queue:int:rw",
    ),
    (
        "seq_port_subscribe",
        "sender:const snd_seq_addr_t *:rw dest:const snd_seq_addr_t *:rw queue:int:rw "
        "exclusive:int:rw time_update:int:rw time_real:int:rw",
    ),
    (
        "seq_query_subscribe",
        "client:int:rw port:int:rw root:const snd_seq_addr_t *:rw "
        "type:snd_seq_query_subs_type_t:rw index:int:rw num_subs:int:r "
        "addr:const snd_seq_addr_t *:r queue:int:r exclusive:int:r time_update:int:r "
        "time_real:int:r",
    ),
    (
        "seq_queue_info",
        "queue:int:r name:const char *:rw owner:int:rw locked:int:rw flags:unsigned int:rw",
    ),
    (
        "seq_queue_status",
        "queue:int:r events:int:r tick_time:snd_seq_tick_time_t:r "
        "real_time:const snd_seq_real_time_t *:r status:unsigned int:r",
    ),
    (
        "seq_queue_tempo",
        "queue:int:r tempo:unsigned int:rw ppq:int:rw skew:unsigned int:rw "
        "skew_base:unsigned int:rw",
    ),
    (
        "seq_queue_timer",
        "queue:int:r type:snd_seq_queue_timer_type_t:rw id:const snd_timer_id_t *:rw "
        "resolution:unsigned int:rw",
    ),
    (
        "seq_remove_events",
        "condition:unsigned int:rw queue:int:rw time:const snd_seq_timestamp_t *:rw "
        "dest:const snd_seq_addr_t *:rw channel:int:rw event_type:int:rw tag:int:rw",
    ),
    ("timer_id", "class:int:rw sclass:int:rw card:int:rw device:int:rw subdevice:int:rw"),
    (
        "timer_ginfo",
        "tid:snd_timer_id_t *:rw flags:unsigned int:r card:int:r id:char *:r name:char *:r "
        "resolution:unsigned long:r resolution_min:unsigned long:r "
        "resolution_max:unsigned long:r clients:unsigned int:r",
    ),
    (
        "timer_info",
        "card:int:r id:const char *:r name:const char *:r resolution:long:r ticks:long:r",
    ),
    (
        "timer_params",
        "auto_start:int:rw exclusive:int:rw early_event:int:rw ticks:long:rw queue_size:long:rw "
        "filter:unsigned int:rw",
    ),
    (
        "timer_status",
        "resolution:long:r lost:long:r overrun:long:r queue:long:r",
    ),
]

_TYPES = """
struct pollfd { int fd; short events; short revents; };
struct timeval { long tv_sec; long tv_usec; };
struct timespec { long tv_sec; long tv_nsec; };
typedef struct timeval snd_timestamp_t;
typedef struct timespec snd_htimestamp_t;
typedef struct _snd_config snd_config_t;
typedef struct _snd_async_handler snd_async_handler_t;
typedef void (*snd_async_callback_t)(snd_async_handler_t *handler);
struct snd_shm_area;
typedef struct _snd_seq snd_seq_t;
typedef struct snd_midi_event snd_midi_event_t;
typedef struct _snd_timer snd_timer_t;
typedef struct _snd_timer_query snd_timer_query_t;
typedef struct _snd_timer_gparams snd_timer_gparams_t;
typedef struct _snd_timer_gstatus snd_timer_gstatus_t;
typedef struct _snd_timer_read { unsigned int resolution; unsigned int ticks; } snd_timer_read_t;
typedef unsigned char snd_seq_event_type_t;
typedef unsigned int snd_seq_tick_time_t;
typedef struct snd_seq_real_time { unsigned int tv_sec; unsigned int tv_nsec; }
    snd_seq_real_time_t;
typedef union snd_seq_timestamp { snd_seq_tick_time_t tick; struct snd_seq_real_time time; }
    snd_seq_timestamp_t;
typedef struct snd_seq_addr { unsigned char client; unsigned char port; } snd_seq_addr_t;
typedef struct snd_seq_connect { snd_seq_addr_t sender; snd_seq_addr_t dest; } snd_seq_connect_t;
typedef struct snd_seq_ev_note {
    unsigned char channel; unsigned char note; unsigned char velocity;
    unsigned char off_velocity; unsigned int duration;
} snd_seq_ev_note_t;
typedef struct snd_seq_ev_ctrl {
    unsigned char channel; unsigned char unused[3]; unsigned int param; signed int value;
} snd_seq_ev_ctrl_t;
typedef struct snd_seq_ev_raw8 { unsigned char d[12]; } snd_seq_ev_raw8_t;
typedef struct snd_seq_ev_raw32 { unsigned int d[3]; } snd_seq_ev_raw32_t;
typedef struct snd_seq_result { int event; int result; } snd_seq_result_t;
typedef struct snd_seq_queue_skew { unsigned int value; unsigned int base; } snd_seq_queue_skew_t;
typedef struct snd_seq_ev_queue_control {
    unsigned char queue; unsigned char unused[3];
    union {
        signed int value; snd_seq_timestamp_t time; unsigned int position;
        snd_seq_queue_skew_t skew; unsigned int d32[2]; unsigned char d8[8];
    } param;
} snd_seq_ev_queue_control_t;
"""

#: The two structures that libasound packs.
_PACKED = """
typedef struct snd_seq_ev_ext { unsigned int len; void *ptr; } snd_seq_ev_ext_t;
typedef struct snd_seq_event {
    snd_seq_event_type_t type;
    unsigned char flags;
    unsigned char tag;
    unsigned char queue;
    snd_seq_timestamp_t time;
    snd_seq_addr_t source;
    snd_seq_addr_t dest;
    union {
        snd_seq_ev_note_t note;
        snd_seq_ev_ctrl_t control;
        snd_seq_ev_raw8_t raw8;
        snd_seq_ev_raw32_t raw32;
        snd_seq_ev_ext_t ext;
        snd_seq_ev_queue_control_t queue;
        snd_seq_timestamp_t time;
        snd_seq_addr_t addr;
        snd_seq_connect_t connect;
        snd_seq_result_t result;
    } data;
} snd_seq_event_t;
"""

#: Functions that are not accessors of fields.
_FUNCTIONS = """
const char *snd_asoundlib_version(void);
const char *snd_strerror(int errnum);
void *snd_dlsym(void *handle, const char *name, const char *version);
int snd_dlclose(void *handle);
int snd_user_file(const char *file, char **result);
int snd_async_add_handler(snd_async_handler_t **handler, int fd, snd_async_callback_t callback,
    void *private_data);
int snd_async_del_handler(snd_async_handler_t *handler);
int snd_async_handler_get_fd(snd_async_handler_t *handler);
int snd_async_handler_get_signo(snd_async_handler_t *handler);
void *snd_async_handler_get_callback_private(snd_async_handler_t *handler);
snd_timer_t *snd_async_handler_get_timer(snd_async_handler_t *handler);
int snd_async_add_timer_handler(snd_async_handler_t **handler, snd_timer_t *timer,
    snd_async_callback_t callback, void *private_data);
struct snd_shm_area *snd_shm_area_create(int shmid, void *ptr);
struct snd_shm_area *snd_shm_area_share(struct snd_shm_area *area);
int snd_shm_area_destroy(struct snd_shm_area *area);
int snd_seq_open(snd_seq_t **handle, const char *name, int streams, int mode);
int snd_seq_open_lconf(snd_seq_t **handle, const char *name, int streams, int mode,
    snd_config_t *lconf);
const char *snd_seq_name(snd_seq_t *seq);
snd_seq_type_t snd_seq_type(snd_seq_t *seq);
int snd_seq_close(snd_seq_t *seq);
int snd_seq_poll_descriptors_count(snd_seq_t *seq, short events);
int snd_seq_poll_descriptors(snd_seq_t *seq, struct pollfd *fds, unsigned int space, short events);
int snd_seq_poll_descriptors_revents(snd_seq_t *seq, struct pollfd *fds, unsigned int count,
    unsigned short *revents);
int snd_seq_nonblock(snd_seq_t *seq, int nonblock);
int snd_seq_client_id(snd_seq_t *seq);
size_t snd_seq_get_output_buffer_size(snd_seq_t *seq);
size_t snd_seq_get_input_buffer_size(snd_seq_t *seq);
int snd_seq_set_output_buffer_size(snd_seq_t *seq, size_t size);
int snd_seq_set_input_buffer_size(snd_seq_t *seq, size_t size);
int snd_seq_system_info(snd_seq_t *seq, snd_seq_system_info_t *info);
int snd_seq_get_client_info(snd_seq_t *seq, snd_seq_client_info_t *info);
int snd_seq_get_any_client_info(snd_seq_t *seq, int client, snd_seq_client_info_t *info);
int snd_seq_set_client_info(snd_seq_t *seq, snd_seq_client_info_t *info);
int snd_seq_query_next_client(snd_seq_t *seq, snd_seq_client_info_t *info);
void snd_seq_client_info_event_filter_clear(snd_seq_client_info_t *info);
void snd_seq_client_info_event_filter_add(snd_seq_client_info_t *info, int event_type);
void snd_seq_client_info_event_filter_del(snd_seq_client_info_t *info, int event_type);
int snd_seq_client_info_event_filter_check(snd_seq_client_info_t *info, int event_type);
int snd_seq_get_client_pool(snd_seq_t *seq, snd_seq_client_pool_t *info);
int snd_seq_set_client_pool(snd_seq_t *seq, snd_seq_client_pool_t *info);
int snd_seq_create_port(snd_seq_t *seq, snd_seq_port_info_t *info);
int snd_seq_delete_port(snd_seq_t *seq, int port);
int snd_seq_get_port_info(snd_seq_t *seq, int port, snd_seq_port_info_t *info);
int snd_seq_get_any_port_info(snd_seq_t *seq, int client, int port, snd_seq_port_info_t *info);
int snd_seq_set_port_info(snd_seq_t *seq, int port, snd_seq_port_info_t *info);
int snd_seq_query_next_port(snd_seq_t *seq, snd_seq_port_info_t *info);
int snd_seq_get_port_subscription(snd_seq_t *seq, snd_seq_port_subscribe_t *subscription);
int snd_seq_subscribe_port(snd_seq_t *seq, snd_seq_port_subscribe_t *subscription);
int snd_seq_unsubscribe_port(snd_seq_t *seq, snd_seq_port_subscribe_t *subscription);
int snd_seq_query_port_subscribers(snd_seq_t *seq, snd_seq_query_subscribe_t *query);
int snd_seq_create_queue(snd_seq_t *seq, snd_seq_queue_info_t *info);
int snd_seq_alloc_named_queue(snd_seq_t *seq, const char *name);
int snd_seq_alloc_queue(snd_seq_t *seq);
int snd_seq_free_queue(snd_seq_t *seq, int queue);
int snd_seq_get_queue_info(snd_seq_t *seq, int queue, snd_seq_queue_info_t *info);
int snd_seq_set_queue_info(snd_seq_t *seq, int queue, snd_seq_queue_info_t *info);
int snd_seq_query_named_queue(snd_seq_t *seq, const char *name);
int snd_seq_get_queue_usage(snd_seq_t *seq, int queue);
int snd_seq_set_queue_usage(snd_seq_t *seq, int queue, int used);
int snd_seq_get_queue_status(snd_seq_t *seq, int queue, snd_seq_queue_status_t *status);
int snd_seq_get_queue_tempo(snd_seq_t *seq, int queue, snd_seq_queue_tempo_t *tempo);
int snd_seq_set_queue_tempo(snd_seq_t *seq, int queue, snd_seq_queue_tempo_t *tempo);
int snd_seq_get_queue_timer(snd_seq_t *seq, int queue, snd_seq_queue_timer_t *timer);
int snd_seq_set_queue_timer(snd_seq_t *seq, int queue, snd_seq_queue_timer_t *timer);
int snd_seq_free_event(snd_seq_event_t *event);
ssize_t snd_seq_event_length(snd_seq_event_t *event);
int snd_seq_event_output(snd_seq_t *seq, snd_seq_event_t *event);
int snd_seq_event_output_buffer(snd_seq_t *seq, snd_seq_event_t *event);
int snd_seq_event_output_direct(snd_seq_t *seq, snd_seq_event_t *event);
int snd_seq_event_input(snd_seq_t *seq, snd_seq_event_t **event);
int snd_seq_event_input_pending(snd_seq_t *seq, int fetch_sequencer);
int snd_seq_drain_output(snd_seq_t *seq);
int snd_seq_event_output_pending(snd_seq_t *seq);
int snd_seq_extract_output(snd_seq_t *seq, snd_seq_event_t **event);
int snd_seq_drop_output(snd_seq_t *seq);
int snd_seq_drop_output_buffer(snd_seq_t *seq);
int snd_seq_drop_input(snd_seq_t *seq);
int snd_seq_drop_input_buffer(snd_seq_t *seq);
int snd_seq_remove_events(snd_seq_t *seq, snd_seq_remove_events_t *info);
void snd_seq_set_bit(int number, void *array);
void snd_seq_unset_bit(int number, void *array);
int snd_seq_change_bit(int number, void *array);
int snd_seq_get_bit(int number, void *array);
extern const unsigned int snd_seq_event_types[];
int snd_seq_control_queue(snd_seq_t *seq, int queue, int type, int value, snd_seq_event_t *event);
int snd_seq_create_simple_port(snd_seq_t *seq, const char *name, unsigned int caps,
    unsigned int type);
int snd_seq_delete_simple_port(snd_seq_t *seq, int port);
int snd_seq_connect_from(snd_seq_t *seq, int port, int client, int source_port);
int snd_seq_connect_to(snd_seq_t *seq, int port, int client, int dest_port);
int snd_seq_disconnect_from(snd_seq_t *seq, int port, int client, int source_port);
int snd_seq_disconnect_to(snd_seq_t *seq, int port, int client, int dest_port);
int snd_seq_set_client_name(snd_seq_t *seq, const char *name);
int snd_seq_set_client_event_filter(snd_seq_t *seq, int event_type);
int snd_seq_set_client_pool_output(snd_seq_t *seq, size_t size);
int snd_seq_set_client_pool_output_room(snd_seq_t *seq, size_t size);
int snd_seq_set_client_pool_input(snd_seq_t *seq, size_t size);
int snd_seq_sync_output_queue(snd_seq_t *seq);
int snd_seq_parse_address(snd_seq_t *seq, snd_seq_addr_t *address, const char *text);
int snd_seq_reset_pool_output(snd_seq_t *seq);
int snd_seq_reset_pool_input(snd_seq_t *seq);
int snd_midi_event_new(size_t size, snd_midi_event_t **coder);
int snd_midi_event_resize_buffer(snd_midi_event_t *coder, size_t size);
void snd_midi_event_free(snd_midi_event_t *coder);
void snd_midi_event_init(snd_midi_event_t *coder);
void snd_midi_event_reset_encode(snd_midi_event_t *coder);
void snd_midi_event_reset_decode(snd_midi_event_t *coder);
void snd_midi_event_no_status(snd_midi_event_t *coder, int on);
long snd_midi_event_encode(snd_midi_event_t *coder, const unsigned char *bytes, long count,
    snd_seq_event_t *event);
int snd_midi_event_encode_byte(snd_midi_event_t *coder, int byte, snd_seq_event_t *event);
long snd_midi_event_decode(snd_midi_event_t *coder, unsigned char *bytes, long count,
    const snd_seq_event_t *event);
int snd_timer_query_open(snd_timer_query_t **handle, const char *name, int mode);
int snd_timer_query_open_lconf(snd_timer_query_t **handle, const char *name, int mode,
    snd_config_t *lconf);
int snd_timer_query_close(snd_timer_query_t *handle);
int snd_timer_query_next_device(snd_timer_query_t *handle, snd_timer_id_t *id);
int snd_timer_query_info(snd_timer_query_t *handle, snd_timer_ginfo_t *info);
int snd_timer_query_params(snd_timer_query_t *handle, snd_timer_gparams_t *params);
int snd_timer_query_status(snd_timer_query_t *handle, snd_timer_gstatus_t *status);
int snd_timer_open(snd_timer_t **handle, const char *name, int mode);
int snd_timer_open_lconf(snd_timer_t **handle, const char *name, int mode, snd_config_t *lconf);
int snd_timer_close(snd_timer_t *handle);
int snd_timer_poll_descriptors_count(snd_timer_t *handle);
int snd_timer_poll_descriptors(snd_timer_t *handle, struct pollfd *fds, unsigned int space);
int snd_timer_poll_descriptors_revents(snd_timer_t *handle, struct pollfd *fds,
    unsigned int count, unsigned short *revents);
int snd_timer_info(snd_timer_t *handle, snd_timer_info_t *info);
int snd_timer_info_is_slave(snd_timer_info_t *info);
int snd_timer_params(snd_timer_t *handle, snd_timer_params_t *params);
int snd_timer_status(snd_timer_t *handle, snd_timer_status_t *status);
int snd_timer_start(snd_timer_t *handle);
int snd_timer_stop(snd_timer_t *handle);
int snd_timer_continue(snd_timer_t *handle);
ssize_t snd_timer_read(snd_timer_t *handle, void *buffer, size_t size);
"""

#: Enumerations: the C type, the prefix of the names, and the names in order or with numbers.
_ENUMERATIONS: list[tuple[str, str, str]] = [
    (
        "snd_config_type_t",
        "SND_CONFIG_TYPE_",
        "INTEGER INTEGER64 REAL STRING POINTER COMPOUND=1024",
    ),
    ("snd_seq_type_t", "SND_SEQ_TYPE_", "HW SHM INET"),
    ("snd_seq_client_type_t", "SND_SEQ_", "USER_CLIENT=1 KERNEL_CLIENT=2"),
    ("snd_seq_query_subs_type_t", "SND_SEQ_QUERY_SUBS_", "READ WRITE"),
    ("snd_seq_queue_timer_type_t", "SND_SEQ_TIMER_", "ALSA MIDI_CLOCK MIDI_TICK"),
    ("snd_timer_type_t", "SND_TIMER_TYPE_", "HW SHM INET"),
    ("snd_timer_class_t", "SND_TIMER_CLASS_", "NONE=-1 SLAVE=0 GLOBAL CARD PCM LAST=3"),
    (
        "snd_timer_slave_class_t",
        "SND_TIMER_SCLASS_",
        "NONE=0 APPLICATION SEQUENCER OSS_SEQUENCER LAST=3",
    ),
    (
        "snd_timer_event_t",
        "SND_TIMER_EVENT_",
        "RESOLUTION=0 TICK START STOP CONTINUE PAUSE EARLY SUSPEND RESUME MSTART=12 MSTOP "
        "MCONTINUE MPAUSE MSUSPEND=17 MRESUME",
    ),
    (
        "",
        "SND_SEQ_EVFLG_",
        "RESULT NOTE CONTROL QUEUE SYSTEM MESSAGE CONNECTION SAMPLE USERS INSTR QUOTE NONE RAW "
        "FIXED VARIABLE VARUSR",
    ),
]

#: Constants by the prefix of their names.
_NUMBERS: dict[str, str] = {
    "SND_SEQ_EVFLG_": "NOTE_ONEARG=0 NOTE_TWOARG=1 QUEUE_NOARG=0 QUEUE_TICK=1 QUEUE_TIME=2 "
    "QUEUE_VALUE=3",
    "SND_SEQ_OPEN_": "OUTPUT=1 INPUT=2 DUPLEX=3",
    "SND_SEQ_": "NONBLOCK=1 CLIENT_SYSTEM=0 QUEUE_DIRECT=253",
    "SND_SEQ_ADDRESS_": "UNKNOWN=253 SUBSCRIBERS=254 BROADCAST=255",
    "SND_SEQ_PORT_SYSTEM_": "TIMER=0 ANNOUNCE=1",
    "SND_SEQ_PORT_CAP_": "READ=1 WRITE=2 SYNC_READ=4 SYNC_WRITE=8 DUPLEX=16 SUBS_READ=32 "
    "SUBS_WRITE=64 NO_EXPORT=128",
    "SND_SEQ_PORT_TYPE_": "SPECIFIC=1 MIDI_GENERIC=2 MIDI_GM=4 MIDI_GS=8 MIDI_XG=16 MIDI_MT32=32 "
    "MIDI_GM2=64 SYNTH=1024 DIRECT_SAMPLE=2048 SAMPLE=4096 HARDWARE=65536 SOFTWARE=131072 "
    "SYNTHESIZER=262144 PORT=524288 APPLICATION=1048576",
    "SND_SEQ_REMOVE_": "INPUT=1 OUTPUT=2 DEST=4 DEST_CHANNEL=8 TIME_BEFORE=16 TIME_AFTER=32 "
    "TIME_TICK=64 EVENT_TYPE=128 IGNORE_OFF=256 TAG_MATCH=512",
    "SND_SEQ_TIME_": "STAMP_TICK=0 STAMP_REAL=1 STAMP_MASK=1 MODE_ABS=0 MODE_REL=2 MODE_MASK=2",
    "SND_SEQ_EVENT_LENGTH_": "FIXED=0 VARIABLE=4 VARUSR=8 MASK=12",
    "SND_SEQ_PRIORITY_": "NORMAL=0 HIGH=16 MASK=16",
    "SND_TIMER_GLOBAL_": "SYSTEM=0 RTC=1 HPET=2",
    "SND_TIMER_OPEN_": "NONBLOCK=1 TREAD=2",
}


def _enumerations() -> str:
    """The C declarations of enumerations and constants."""
    text = ""
    for kind, prefix, names in _ENUMERATIONS:
        body = ", ".join(prefix + name for name in names.split())
        text += f"typedef enum {{ {body} }} {kind};\n" if kind else f"enum {{ {body} }};\n"
    numbers = [f"{prefix}{word}" for prefix, words in _NUMBERS.items() for word in words.split()]
    numbers += [f"SND_SEQ_EVENT_{member.name}={member.value}" for member in EventType]
    return text + f"enum {{ {', '.join(numbers)} }};\n"


def _structures() -> tuple[str, str]:
    """The C declarations of the opaque structures, and of their functions."""
    types, functions = "", ""
    for name, fields in _STRUCTURES:
        kind = f"snd_{name}_t"
        types += f"typedef struct _snd_{name} {kind};\n"
        functions += (
            f"size_t snd_{name}_sizeof(void); int snd_{name}_malloc({kind} **object);\n"
            f"void snd_{name}_free({kind} *object);\n"
            f"void snd_{name}_copy({kind} *target, const {kind} *source);\n"
        )
        for field, c_type, access in re.findall(r"(\w+):(.+?):(rw?|w)(?: |$)", fields):
            if "r" in access:
                functions += f"{c_type} snd_{name}_get_{field}(const {kind} *object);\n"
            if "w" in access:
                result = "int" if name in ("timer_params", "timer_ginfo") else "void"
                functions += f"{result} snd_{name}_set_{field}({kind} *object, {c_type} value);\n"
    return types, functions


def _load() -> tuple[Any, Any]:
    """Loads the library; returns it and the cffi object that creates C values."""
    try:
        from cffi import FFI
    except ImportError as error:
        raise ImportError(
            "alsa_midi.alsa and alsa_midi.ffi need the package cffi: "
            "`pip install consort-alsa-midi[libasound]` installs it"
        ) from error
    builder = FFI()
    types, functions = _structures()
    builder.cdef(_TYPES)
    builder.cdef(_PACKED, packed=True)
    builder.cdef(_enumerations() + types + functions + _FUNCTIONS)
    try:
        library = builder.dlopen(_LIBRARY)
    except OSError as error:
        raise ImportError(
            f"alsa_midi.alsa and alsa_midi.ffi need {_LIBRARY} (in Debian's package libasound2): "
            f"{error}"
        ) from error
    return library, builder


alsa, ffi = _load()
