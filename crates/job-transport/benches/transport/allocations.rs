//! Counts the allocations of a request, and those of the client alone.

use std::error::Error;

use bytes::Bytes;
use futures_util::future::try_join_all;
use http::Response;
use job_transport::{Client, Reading, transport::Transport};
use tokio::runtime::Runtime;

use crate::{CONCURRENCY, TARGETS, Targets};

/// The maximum number of allocations of a client in a request: with a token, and with a signature.
/// Those of the transport and of decoding the reply do not count.
///
/// With a token there are 5: two for the URI, two for the list of headers, and one for the timer. A
/// signature adds 7: one for the canonical request, two for the values of three headers, two for the
/// header with the signature, and two to search the reply for the signature. The bounds are higher
/// by one half, because the baseline varies a little.
const MAX_WITH_TOKEN: f64 = 5.5;
const MAX_WITH_KEY: f64 = 12.5;

/// Number of measurements. The one with the fewest allocations counts, because buffers of the
/// connection grow in some of them.
const ROUNDS: usize = 15;

/// Prints the figures; returns whether each is within its bound.
pub(crate) fn report(runtime: &Runtime, targets: &Targets) -> Result<bool, Box<dyn Error>> {
    println!("\nthe fewest of {ROUNDS} rounds, allocations of a request on the client's thread");
    for (target, name) in TARGETS.into_iter().enumerate() {
        let mut fewest = [f64::INFINITY; 2];
        for _ in 0..ROUNDS {
            let (_, allocated) = measure(|| runtime.block_on(targets.batch(target)))?;
            fewest = min(fewest, allocated);
        }
        let [count, bytes] = fewest;
        println!("{name:>20} {count:>10.1} {bytes:>10.0} bytes");
    }
    println!("\nthe same without those of HyperTransport and of decoding the reply");
    let of_transport = measure_transport(runtime, targets)?;
    let mut within = true;
    for (name, client, bound) in [
        ("Client, token", &targets.with_token, MAX_WITH_TOKEN),
        ("Client, signing", &targets.with_key, MAX_WITH_KEY),
    ] {
        let (mut fewest, mut decoding) = (f64::INFINITY, 0.0);
        for _ in 0..ROUNDS {
            let sent;
            [sent, decoding] = measure_client(runtime, targets, client)?;
            fewest = fewest.min(sent - decoding - of_transport);
        }
        let verdict = if fewest <= bound { "ok" } else { "ABOVE ITS BOUND" };
        println!("{name:>20} {fewest:>10.1} (at most {bound}) {verdict}; decoding: {decoding:.1}");
        within &= fewest <= bound;
    }
    Ok(within)
}

/// Returns the number of allocations of `HyperTransport` for a request that is built already.
fn measure_transport(runtime: &Runtime, targets: &Targets) -> Result<f64, Box<dyn Error>> {
    let mut fewest = f64::INFINITY;
    for _ in 0..ROUNDS {
        let requests: Vec<_> = (0..CONCURRENCY).map(|_| targets.request()).collect();
        let sent = requests.into_iter().map(|request| targets.transport.send(request));
        let (_, [count, _]) = measure(|| Ok(runtime.block_on(try_join_all(sent))?))?;
        fewest = fewest.min(count);
    }
    Ok(fewest)
}

/// Returns the number of allocations of a client's request, and how many of them decode the reply.
fn measure_client(
    runtime: &Runtime,
    targets: &Targets,
    client: &Client,
) -> Result<[f64; 2], Box<dyn Error>> {
    let requests = (0..CONCURRENCY).map(|_| client.job(&targets.job));
    let (readings, [sent, _]) = measure(|| Ok(runtime.block_on(try_join_all(requests))?))?;
    // The reply depends on the time, so the same ones are decoded again.
    let replies = readings.iter().map(reply).collect::<Result<Vec<_>, _>>()?;
    let (_, [decoding, _]) = measure(|| {
        let mut decoded = replies.into_iter().map(Reading::from_response);
        Ok(decoded.try_for_each(|reading| reading.map(drop))?)
    })?;
    Ok([sent, decoding])
}

/// Returns a reply with the parts of the original one whose decoding allocates memory.
fn reply(reading: &Reading) -> Result<Response<Bytes>, http::Error> {
    let request_id = reading.request_id.as_deref().unwrap_or_default();
    Response::builder().header("x-request-id", request_id).body(reading.snapshot.text())
}

/// Returns the output of a function for [`CONCURRENCY`] requests, and the number and the bytes of its
/// allocations per request.
fn measure<T>(
    run: impl FnOnce() -> Result<T, Box<dyn Error>>,
) -> Result<(T, [f64; 2]), Box<dyn Error>> {
    let mut output = Err("not run".into());
    let allocated = allocation_counter::measure(|| output = run());
    let sums = [allocated.count_total, allocated.bytes_total];
    Ok((output?, sums.map(|sum| sum as f64 / CONCURRENCY as f64)))
}

fn min(one: [f64; 2], other: [f64; 2]) -> [f64; 2] {
    [one[0].min(other[0]), one[1].min(other[1])]
}
