//! From requests to packets: merging consecutive requests, bundling them, and splitting those that
//! are too large.

use consort_osc::TimeTag;

use crate::error::{Error, ErrorKind, Result};
use crate::requests::Request;

/// The size of a bundle's header: `#bundle` and the time tag.
pub(crate) const BUNDLE_HEADER_BYTES: usize = 16;

fn bundle_header(time: TimeTag) -> [u8; BUNDLE_HEADER_BYTES] {
    let mut bytes = *b"#bundle\0\0\0\0\0\0\0\0\0";
    bytes[8..].copy_from_slice(&time.raw().to_be_bytes());
    bytes
}

fn too_large(request: &Request, size: usize, limit: usize) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!(
            "{} needs a packet of {size} bytes, but the limit is {limit}; nothing was sent; \
             send less at once, let the server load a file, or connect over TCP",
            request.address()
        ),
    )
}

/// Appends a request to `out` as one message, or split into as many as it takes to stay within
/// `limit` with `overhead` bytes around each message. `ends` gets the end of each message.
fn encode_fitting(
    request: &Request,
    limit: usize,
    overhead: usize,
    out: &mut Vec<u8>,
    ends: &mut Vec<usize>,
) -> Result<()> {
    let start = out.len();
    let size = request.encode(out)?;
    if size + overhead <= limit {
        ends.push(out.len());
        return Ok(());
    }
    out.truncate(start);
    // Each level halves a list, so that the recursion is as deep as the logarithm of its length.
    match request.split() {
        Some((first, second)) => {
            encode_fitting(&first, limit, overhead, out, ends)?;
            encode_fitting(&second, limit, overhead, out, ends)
        }
        None => Err(too_large(request, size + overhead, limit)),
    }
}

/// Encodes `requests` as packets of at most `limit` bytes and passes each to `emit`.
///
/// Without a time, one request becomes a message and several become a bundle with the time tag
/// "immediately". With a time, all requests are in bundles with that time. What does not fit into
/// one packet becomes several, in order. `emit` is first called when all requests are known to
/// fit.
///
/// # Errors
/// [`ErrorKind::TooLarge`] if a request cannot be split far enough, or the first error of
/// `emit`.
pub(crate) fn encode_packets(
    time: Option<TimeTag>,
    requests: &[Request],
    limit: usize,
    emit: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    if let (None, [request]) = (time, requests) {
        return crate::wire::with_scratch(|out| {
            if request.encode(out)? <= limit {
                return emit(out);
            }
            out.clear();
            let mut ends = Vec::new();
            encode_fitting(request, limit, 0, out, &mut ends)?;
            let mut start = 0;
            for end in ends {
                emit(&out[start..end])?;
                start = end;
            }
            Ok(())
        });
    }
    let mut messages = Vec::with_capacity(requests.len() * 48);
    let mut ends = Vec::with_capacity(requests.len());
    let mut rest = requests;
    while let Some((first, mut following)) = rest.split_first() {
        let mut merged: Option<Request> = None;
        while let Some((next, after)) = following.split_first() {
            if std::mem::discriminant(first) != std::mem::discriminant(next) {
                break;
            }
            // Only types that can merge are cloned; a failed merge leaves the clone unchanged.
            let candidate = match &mut merged {
                Some(merged) => merged,
                None if first.can_merge() => merged.insert(first.clone()),
                None => break,
            };
            if !candidate.merge(next) {
                break;
            }
            following = after;
        }
        let request = merged.as_ref().unwrap_or(first);
        encode_fitting(request, limit, BUNDLE_HEADER_BYTES + 4, &mut messages, &mut ends)?;
        rest = following;
    }
    if time.is_none() && ends.len() == 1 {
        return emit(&messages);
    }
    let header = bundle_header(time.unwrap_or(TimeTag::IMMEDIATE));
    crate::wire::with_scratch(|out| {
        out.extend_from_slice(&header);
        let mut start = 0;
        for end in ends {
            let message = &messages[start..end];
            if out.len() + 4 + message.len() > limit {
                emit(out)?;
                out.truncate(BUNDLE_HEADER_BYTES);
            }
            out.extend_from_slice(&(message.len() as u32).to_be_bytes());
            out.extend_from_slice(message);
            start = end;
        }
        if out.len() > BUNDLE_HEADER_BYTES { emit(out) } else { Ok(()) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::*;
    use crate::values::AddAction;
    use consort_osc::OscPacket;

    fn collect(time: Option<f64>, requests: &[Request], limit: usize) -> Result<Vec<OscPacket>> {
        let mut result = Vec::new();
        encode_packets(time.map(TimeTag::from_unix_seconds), requests, limit, &mut |bytes| {
            assert!(bytes.len() <= limit);
            result.push(OscPacket::decode(bytes).unwrap());
            Ok(())
        })?;
        Ok(result)
    }

    fn set(id: i32) -> Request {
        SetNode { id, settings: vec![("amplitude".into(), 0.5.into())] }.into()
    }

    fn group(id: i32) -> Request {
        let group = NewGroup { id, add_action: AddAction::ToTail, target_id: 0 };
        NewGroups { parallel: false, groups: vec![group] }.into()
    }

    #[test]
    fn one_request_is_a_message_and_several_are_an_immediate_bundle() {
        let single = collect(None, &[set(1000)], 65_507).unwrap();
        assert_eq!(single[0].to_string(), r#"/n_set ,isf 1000 "amplitude" 0.5"#);
        let several = collect(None, &[set(1000), set(1001)], 65_507).unwrap();
        assert_eq!(several.len(), 1);
        assert!(several[0].to_string().starts_with("#bundle @immediately"), "{}", several[0]);
        let timed = collect(Some(10.0), &[set(1000)], 65_507).unwrap();
        assert!(timed[0].to_string().starts_with("#bundle"), "{}", timed[0]);
    }

    #[test]
    fn only_consecutive_requests_of_the_same_type_merge() {
        let requests = [
            group(1),
            group(2),
            set(1),
            group(3),
            SetControlBuses { values: vec![(0, 0.5)] }.into(),
            SetControlBuses { values: vec![(4, 0.25)] }.into(),
            SetBuffer { id: 1, values: vec![(0, 0.5)] }.into(),
            SetBuffer { id: 1, values: vec![(1, 0.5)] }.into(),
            SetBuffer { id: 2, values: vec![(2, 0.5)] }.into(),
        ];
        let packets = collect(None, &requests, 65_507).unwrap();
        assert_eq!(
            packets[0].to_string(),
            r#"#bundle @immediately { /g_new ,iiiiii 1 1 0 2 1 0; /n_set ,isf 1 "amplitude" 0.5; /g_new ,iii 3 1 0; /c_set ,ifif 0 0.5 4 0.25; /b_set ,iifif 1 0 0.5 1 0.5; /b_set ,iif 2 2 0.5 }"#
        );
        // If all requests merge, the packet is a message and not a bundle.
        let packets = collect(None, &[group(1), group(2)], 65_507).unwrap();
        assert_eq!(packets[0].to_string(), "/g_new ,iiiiii 1 1 0 2 1 0");
    }

    #[test]
    fn a_moment_above_the_limit_becomes_several_bundles_in_order() {
        let requests: Vec<Request> = (0..5000).map(set).collect();
        let packets = collect(Some(1.0), &requests, 65_507).unwrap();
        assert!(packets.len() > 1);
        let ids: Vec<i32> = packets
            .iter()
            .flat_map(|packet| match packet {
                OscPacket::Bundle(bundle) => bundle.elements.clone(),
                OscPacket::Message(_) => panic!("a timed request was sent without its time"),
            })
            .map(|element| match element {
                OscPacket::Message(message) => message.arguments[0].as_i32().unwrap(),
                OscPacket::Bundle(_) => panic!("a bundle in a bundle"),
            })
            .collect();
        assert_eq!(ids, (0..5000).collect::<Vec<_>>());
    }

    #[test]
    fn a_long_request_is_split_and_one_that_cannot_be_split_is_an_error_with_the_limit() {
        let values: Vec<f32> = (0..40_000).map(|value| value as f32).collect();
        let request: Request = SetBufferRange { id: 3, ranges: vec![(10, values)] }.into();
        let mut next = 10;
        for packet in collect(None, &[request], 65_507).unwrap() {
            let OscPacket::Message(message) = packet else { panic!("expected messages") };
            let int = |index: usize| message.arguments[index].as_i32().unwrap();
            assert_eq!((int(0), int(1)), (3, next));
            assert_eq!(message.arguments[3].as_f64().unwrap(), f64::from(next - 10));
            next += int(2);
        }
        assert_eq!(next, 40_010);
        let request = ReceiveSynthDef {
            bytes: vec![0; 70_000].into(),
            completion: CompletionRequests::default(),
        };
        let error = collect(None, &[request.clone().into()], 65_507).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains("65507"), "{error}");
        // If one request of a moment cannot be sent, none is.
        let mut sent = 0;
        let result = encode_packets(None, &[set(1), request.into()], 65_507, &mut |_| {
            sent += 1;
            Ok(())
        });
        assert!(result.is_err());
        assert_eq!(sent, 0);
    }
}
