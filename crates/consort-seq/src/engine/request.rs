//! The ioctls of the sequencer, one variant each.

use rustix::ioctl::Opcode;

use crate::raw::{
    ClientInfo, ClientPool, ClientUmpInfo, PortInfo, PortSubscribe, QuerySubscribers, QueueClient,
    QueueInfo, QueueStatus, QueueTempo, QueueTimer, RemoveEvents, RunningInfo, SystemInfo,
    request_number,
};

/// A request to the sequencer: an ioctl with its argument.
///
/// The request reads the argument, writes to it, or both, as the kernel documents it. After a
/// failure the contents of the argument are unspecified.
#[derive(Debug)]
#[non_exhaustive]
pub enum Request<'a> {
    /// The sequencer's protocol version. `SNDRV_SEQ_IOCTL_PVERSION`
    ProtocolVersion(&'a mut i32),
    /// The number of the requesting client. `SNDRV_SEQ_IOCTL_CLIENT_ID`
    ClientId(&'a mut i32),
    /// The limits of the sequencer. `SNDRV_SEQ_IOCTL_SYSTEM_INFO`
    SystemInfo(&'a mut SystemInfo),
    /// Checks the client's byte order and pointer size. `SNDRV_SEQ_IOCTL_RUNNING_MODE`
    RunningMode(&'a mut RunningInfo),
    /// Announces the client's protocol version. `SNDRV_SEQ_IOCTL_USER_PVERSION`
    UserProtocolVersion(&'a mut i32),
    /// A client's information. `SNDRV_SEQ_IOCTL_GET_CLIENT_INFO`
    GetClientInfo(&'a mut ClientInfo),
    /// Changes the requesting client's information. `SNDRV_SEQ_IOCTL_SET_CLIENT_INFO`
    SetClientInfo(&'a mut ClientInfo),
    /// A client's UMP information. `SNDRV_SEQ_IOCTL_GET_CLIENT_UMP_INFO`
    GetClientUmpInfo(&'a mut ClientUmpInfo),
    /// Sets the requesting client's UMP information. `SNDRV_SEQ_IOCTL_SET_CLIENT_UMP_INFO`
    SetClientUmpInfo(&'a mut ClientUmpInfo),
    /// Creates a port. `SNDRV_SEQ_IOCTL_CREATE_PORT`
    CreatePort(&'a mut PortInfo),
    /// Deletes a port of the requesting client. `SNDRV_SEQ_IOCTL_DELETE_PORT`
    DeletePort(&'a mut PortInfo),
    /// A port's information. `SNDRV_SEQ_IOCTL_GET_PORT_INFO`
    GetPortInfo(&'a mut PortInfo),
    /// Changes a port of the requesting client. `SNDRV_SEQ_IOCTL_SET_PORT_INFO`
    SetPortInfo(&'a mut PortInfo),
    /// Connects two ports. `SNDRV_SEQ_IOCTL_SUBSCRIBE_PORT`
    SubscribePort(&'a mut PortSubscribe),
    /// Disconnects two ports. `SNDRV_SEQ_IOCTL_UNSUBSCRIBE_PORT`
    UnsubscribePort(&'a mut PortSubscribe),
    /// Creates a queue. `SNDRV_SEQ_IOCTL_CREATE_QUEUE`
    CreateQueue(&'a mut QueueInfo),
    /// Deletes a queue that the requesting client owns. `SNDRV_SEQ_IOCTL_DELETE_QUEUE`
    DeleteQueue(&'a mut QueueInfo),
    /// A queue's information. `SNDRV_SEQ_IOCTL_GET_QUEUE_INFO`
    GetQueueInfo(&'a mut QueueInfo),
    /// Changes the name and the lock of a queue. `SNDRV_SEQ_IOCTL_SET_QUEUE_INFO`
    SetQueueInfo(&'a mut QueueInfo),
    /// Looks a queue up by name. `SNDRV_SEQ_IOCTL_GET_NAMED_QUEUE`
    GetNamedQueue(&'a mut QueueInfo),
    /// A queue's position, state and number of events. `SNDRV_SEQ_IOCTL_GET_QUEUE_STATUS`
    GetQueueStatus(&'a mut QueueStatus),
    /// A queue's tempo. `SNDRV_SEQ_IOCTL_GET_QUEUE_TEMPO`
    GetQueueTempo(&'a mut QueueTempo),
    /// Sets a queue's tempo. `SNDRV_SEQ_IOCTL_SET_QUEUE_TEMPO`
    SetQueueTempo(&'a mut QueueTempo),
    /// The timer that drives a queue. `SNDRV_SEQ_IOCTL_GET_QUEUE_TIMER`
    GetQueueTimer(&'a mut QueueTimer),
    /// Sets the timer that drives a queue. `SNDRV_SEQ_IOCTL_SET_QUEUE_TIMER`
    SetQueueTimer(&'a mut QueueTimer),
    /// Whether the requesting client uses a queue. `SNDRV_SEQ_IOCTL_GET_QUEUE_CLIENT`
    GetQueueClient(&'a mut QueueClient),
    /// Begins or ends the use of a queue. `SNDRV_SEQ_IOCTL_SET_QUEUE_CLIENT`
    SetQueueClient(&'a mut QueueClient),
    /// The sizes of a client's pools. `SNDRV_SEQ_IOCTL_GET_CLIENT_POOL`
    GetClientPool(&'a mut ClientPool),
    /// Resizes the requesting client's pools. `SNDRV_SEQ_IOCTL_SET_CLIENT_POOL`
    SetClientPool(&'a mut ClientPool),
    /// Removes events from the input queue or from scheduled output. `SNDRV_SEQ_IOCTL_REMOVE_EVENTS`
    RemoveEvents(&'a mut RemoveEvents),
    /// One subscriber of a port. `SNDRV_SEQ_IOCTL_QUERY_SUBS`
    QuerySubscribers(&'a mut QuerySubscribers),
    /// The subscription between two ports. `SNDRV_SEQ_IOCTL_GET_SUBSCRIPTION`
    GetSubscription(&'a mut PortSubscribe),
    /// The next client after a number. `SNDRV_SEQ_IOCTL_QUERY_NEXT_CLIENT`
    QueryNextClient(&'a mut ClientInfo),
    /// The next port after an address. `SNDRV_SEQ_IOCTL_QUERY_NEXT_PORT`
    QueryNextPort(&'a mut PortInfo),
}

impl Request<'_> {
    /// The request's number.
    #[must_use]
    pub const fn number(&self) -> Opcode {
        match self {
            Self::ProtocolVersion(_) => request_number::PROTOCOL_VERSION,
            Self::ClientId(_) => request_number::CLIENT_ID,
            Self::SystemInfo(_) => request_number::SYSTEM_INFO,
            Self::RunningMode(_) => request_number::RUNNING_MODE,
            Self::UserProtocolVersion(_) => request_number::USER_PROTOCOL_VERSION,
            Self::GetClientInfo(_) => request_number::GET_CLIENT_INFO,
            Self::SetClientInfo(_) => request_number::SET_CLIENT_INFO,
            Self::GetClientUmpInfo(_) => request_number::GET_CLIENT_UMP_INFO,
            Self::SetClientUmpInfo(_) => request_number::SET_CLIENT_UMP_INFO,
            Self::CreatePort(_) => request_number::CREATE_PORT,
            Self::DeletePort(_) => request_number::DELETE_PORT,
            Self::GetPortInfo(_) => request_number::GET_PORT_INFO,
            Self::SetPortInfo(_) => request_number::SET_PORT_INFO,
            Self::SubscribePort(_) => request_number::SUBSCRIBE_PORT,
            Self::UnsubscribePort(_) => request_number::UNSUBSCRIBE_PORT,
            Self::CreateQueue(_) => request_number::CREATE_QUEUE,
            Self::DeleteQueue(_) => request_number::DELETE_QUEUE,
            Self::GetQueueInfo(_) => request_number::GET_QUEUE_INFO,
            Self::SetQueueInfo(_) => request_number::SET_QUEUE_INFO,
            Self::GetNamedQueue(_) => request_number::GET_NAMED_QUEUE,
            Self::GetQueueStatus(_) => request_number::GET_QUEUE_STATUS,
            Self::GetQueueTempo(_) => request_number::GET_QUEUE_TEMPO,
            Self::SetQueueTempo(_) => request_number::SET_QUEUE_TEMPO,
            Self::GetQueueTimer(_) => request_number::GET_QUEUE_TIMER,
            Self::SetQueueTimer(_) => request_number::SET_QUEUE_TIMER,
            Self::GetQueueClient(_) => request_number::GET_QUEUE_CLIENT,
            Self::SetQueueClient(_) => request_number::SET_QUEUE_CLIENT,
            Self::GetClientPool(_) => request_number::GET_CLIENT_POOL,
            Self::SetClientPool(_) => request_number::SET_CLIENT_POOL,
            Self::RemoveEvents(_) => request_number::REMOVE_EVENTS,
            Self::QuerySubscribers(_) => request_number::QUERY_SUBSCRIBERS,
            Self::GetSubscription(_) => request_number::GET_SUBSCRIPTION,
            Self::QueryNextClient(_) => request_number::QUERY_NEXT_CLIENT,
            Self::QueryNextPort(_) => request_number::QUERY_NEXT_PORT,
        }
    }

    /// The request's C identifier.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ProtocolVersion(_) => "SNDRV_SEQ_IOCTL_PVERSION",
            Self::ClientId(_) => "SNDRV_SEQ_IOCTL_CLIENT_ID",
            Self::SystemInfo(_) => "SNDRV_SEQ_IOCTL_SYSTEM_INFO",
            Self::RunningMode(_) => "SNDRV_SEQ_IOCTL_RUNNING_MODE",
            Self::UserProtocolVersion(_) => "SNDRV_SEQ_IOCTL_USER_PVERSION",
            Self::GetClientInfo(_) => "SNDRV_SEQ_IOCTL_GET_CLIENT_INFO",
            Self::SetClientInfo(_) => "SNDRV_SEQ_IOCTL_SET_CLIENT_INFO",
            Self::GetClientUmpInfo(_) => "SNDRV_SEQ_IOCTL_GET_CLIENT_UMP_INFO",
            Self::SetClientUmpInfo(_) => "SNDRV_SEQ_IOCTL_SET_CLIENT_UMP_INFO",
            Self::CreatePort(_) => "SNDRV_SEQ_IOCTL_CREATE_PORT",
            Self::DeletePort(_) => "SNDRV_SEQ_IOCTL_DELETE_PORT",
            Self::GetPortInfo(_) => "SNDRV_SEQ_IOCTL_GET_PORT_INFO",
            Self::SetPortInfo(_) => "SNDRV_SEQ_IOCTL_SET_PORT_INFO",
            Self::SubscribePort(_) => "SNDRV_SEQ_IOCTL_SUBSCRIBE_PORT",
            Self::UnsubscribePort(_) => "SNDRV_SEQ_IOCTL_UNSUBSCRIBE_PORT",
            Self::CreateQueue(_) => "SNDRV_SEQ_IOCTL_CREATE_QUEUE",
            Self::DeleteQueue(_) => "SNDRV_SEQ_IOCTL_DELETE_QUEUE",
            Self::GetQueueInfo(_) => "SNDRV_SEQ_IOCTL_GET_QUEUE_INFO",
            Self::SetQueueInfo(_) => "SNDRV_SEQ_IOCTL_SET_QUEUE_INFO",
            Self::GetNamedQueue(_) => "SNDRV_SEQ_IOCTL_GET_NAMED_QUEUE",
            Self::GetQueueStatus(_) => "SNDRV_SEQ_IOCTL_GET_QUEUE_STATUS",
            Self::GetQueueTempo(_) => "SNDRV_SEQ_IOCTL_GET_QUEUE_TEMPO",
            Self::SetQueueTempo(_) => "SNDRV_SEQ_IOCTL_SET_QUEUE_TEMPO",
            Self::GetQueueTimer(_) => "SNDRV_SEQ_IOCTL_GET_QUEUE_TIMER",
            Self::SetQueueTimer(_) => "SNDRV_SEQ_IOCTL_SET_QUEUE_TIMER",
            Self::GetQueueClient(_) => "SNDRV_SEQ_IOCTL_GET_QUEUE_CLIENT",
            Self::SetQueueClient(_) => "SNDRV_SEQ_IOCTL_SET_QUEUE_CLIENT",
            Self::GetClientPool(_) => "SNDRV_SEQ_IOCTL_GET_CLIENT_POOL",
            Self::SetClientPool(_) => "SNDRV_SEQ_IOCTL_SET_CLIENT_POOL",
            Self::RemoveEvents(_) => "SNDRV_SEQ_IOCTL_REMOVE_EVENTS",
            Self::QuerySubscribers(_) => "SNDRV_SEQ_IOCTL_QUERY_SUBS",
            Self::GetSubscription(_) => "SNDRV_SEQ_IOCTL_GET_SUBSCRIPTION",
            Self::QueryNextClient(_) => "SNDRV_SEQ_IOCTL_QUERY_NEXT_CLIENT",
            Self::QueryNextPort(_) => "SNDRV_SEQ_IOCTL_QUERY_NEXT_PORT",
        }
    }

    /// The address of the argument, for the system call.
    pub(crate) fn argument(&mut self) -> *mut std::ffi::c_void {
        match self {
            Self::ProtocolVersion(argument) => std::ptr::from_mut::<i32>(argument).cast(),
            Self::ClientId(argument) => std::ptr::from_mut::<i32>(argument).cast(),
            Self::SystemInfo(argument) => std::ptr::from_mut::<SystemInfo>(argument).cast(),
            Self::RunningMode(argument) => std::ptr::from_mut::<RunningInfo>(argument).cast(),
            Self::UserProtocolVersion(argument) => std::ptr::from_mut::<i32>(argument).cast(),
            Self::GetClientInfo(argument) => std::ptr::from_mut::<ClientInfo>(argument).cast(),
            Self::SetClientInfo(argument) => std::ptr::from_mut::<ClientInfo>(argument).cast(),
            Self::GetClientUmpInfo(argument) => {
                std::ptr::from_mut::<ClientUmpInfo>(argument).cast()
            }
            Self::SetClientUmpInfo(argument) => {
                std::ptr::from_mut::<ClientUmpInfo>(argument).cast()
            }
            Self::CreatePort(argument) => std::ptr::from_mut::<PortInfo>(argument).cast(),
            Self::DeletePort(argument) => std::ptr::from_mut::<PortInfo>(argument).cast(),
            Self::GetPortInfo(argument) => std::ptr::from_mut::<PortInfo>(argument).cast(),
            Self::SetPortInfo(argument) => std::ptr::from_mut::<PortInfo>(argument).cast(),
            Self::SubscribePort(argument) => std::ptr::from_mut::<PortSubscribe>(argument).cast(),
            Self::UnsubscribePort(argument) => std::ptr::from_mut::<PortSubscribe>(argument).cast(),
            Self::CreateQueue(argument) => std::ptr::from_mut::<QueueInfo>(argument).cast(),
            Self::DeleteQueue(argument) => std::ptr::from_mut::<QueueInfo>(argument).cast(),
            Self::GetQueueInfo(argument) => std::ptr::from_mut::<QueueInfo>(argument).cast(),
            Self::SetQueueInfo(argument) => std::ptr::from_mut::<QueueInfo>(argument).cast(),
            Self::GetNamedQueue(argument) => std::ptr::from_mut::<QueueInfo>(argument).cast(),
            Self::GetQueueStatus(argument) => std::ptr::from_mut::<QueueStatus>(argument).cast(),
            Self::GetQueueTempo(argument) => std::ptr::from_mut::<QueueTempo>(argument).cast(),
            Self::SetQueueTempo(argument) => std::ptr::from_mut::<QueueTempo>(argument).cast(),
            Self::GetQueueTimer(argument) => std::ptr::from_mut::<QueueTimer>(argument).cast(),
            Self::SetQueueTimer(argument) => std::ptr::from_mut::<QueueTimer>(argument).cast(),
            Self::GetQueueClient(argument) => std::ptr::from_mut::<QueueClient>(argument).cast(),
            Self::SetQueueClient(argument) => std::ptr::from_mut::<QueueClient>(argument).cast(),
            Self::GetClientPool(argument) => std::ptr::from_mut::<ClientPool>(argument).cast(),
            Self::SetClientPool(argument) => std::ptr::from_mut::<ClientPool>(argument).cast(),
            Self::RemoveEvents(argument) => std::ptr::from_mut::<RemoveEvents>(argument).cast(),
            Self::QuerySubscribers(argument) => {
                std::ptr::from_mut::<QuerySubscribers>(argument).cast()
            }
            Self::GetSubscription(argument) => std::ptr::from_mut::<PortSubscribe>(argument).cast(),
            Self::QueryNextClient(argument) => std::ptr::from_mut::<ClientInfo>(argument).cast(),
            Self::QueryNextPort(argument) => std::ptr::from_mut::<PortInfo>(argument).cast(),
        }
    }
}
