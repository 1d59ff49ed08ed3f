//! Measures a signature, and only the hashes in it.

use std::{error::Error, hint::black_box};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderValue, Request};
use jiff::Timestamp;
use job_model::ProjectId;
use job_transport::auth::{AccessKey, sign};
use sha2::{Digest, Sha256};

use crate::{Round, processor_time};

/// Number of turns in a round, and of signatures in a turn.
const TURNS: usize = 4;
const SIGNATURES: usize = 5_000;

const SECRET_KEY: &str = "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc";
const PROJECT: &str = "4b8c1e4d7f2a4c0e9d6a2b1c3d4e5f60";
const JOB: &str = "354331b2c-229a-11e8-9c75-0255ac100ceb";

/// Measures both, and returns the time of one signature and of its hashes.
pub(crate) fn round() -> Result<Round, Box<dyn Error>> {
    let key = AccessKey::new("QTWAOYTTINDUT2QVKYUC", SECRET_KEY)?;
    let project: ProjectId = PROJECT.parse()?;
    let at = Timestamp::constant(1_580_631_160, 0);
    let uri = format!("https://cce.eu-de.otc.t-systems.com/api/v3/projects/{PROJECT}/jobs/{JOB}");
    let mut request = Request::get(uri).body(Bytes::new())?;
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert("content-type", json);

    let make = || drop(black_box(request.clone()));
    let make_and_sign = || {
        let mut request = request.clone();
        let _ = black_box(sign(&mut request, black_box(&key), Some(&project), at));
        drop(black_box(request));
    };
    let canonical_request = format!(
        "GET\n/api/v3/projects/{PROJECT}/jobs/{JOB}/\n\ncontent-type:application/json\n\
         host:cce.eu-de.otc.t-systems.com\nx-project-id:{PROJECT}\nx-sdk-date:20200202T081240Z\n\n\
         content-type;host;x-project-id;x-sdk-date\n{}",
        "e".repeat(64)
    );
    let string_to_sign = format!("SDK-HMAC-SHA256\n20200202T081240Z\n{}", "e".repeat(64));
    let hash = || {
        black_box(Sha256::digest(black_box(b"")));
        black_box(Sha256::digest(black_box(&canonical_request)));
        let mac = Hmac::<Sha256>::new_from_slice(black_box(SECRET_KEY.as_bytes()));
        let mac = mac.map(|mac| mac.chain_update(black_box(&string_to_sign)).finalize());
        drop(black_box(mac));
    };

    // Each request is signed once, as in a client, and the time to create it is subtracted. The
    // measurements alternate, so that a machine that slows down affects both.
    let (mut signed, mut hashed) = (0.0, 0.0);
    for _ in 0..TURNS {
        signed += time(make_and_sign) - time(make);
        hashed += time(hash);
    }
    let of_one = |time: f64| time / (TURNS * SIGNATURES) as f64;
    Ok(vec![("sign", of_one(signed)), ("SHA-256 and HMAC", of_one(hashed))])
}

/// Returns the processor time of a turn, in nanoseconds.
fn time(one: impl Fn()) -> f64 {
    let before = processor_time();
    (0..SIGNATURES).for_each(|_| one());
    processor_time() - before
}
