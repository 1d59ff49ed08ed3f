//! The result of reading a cluster or a node.

use bytes::Bytes;
use http::{Response, StatusCode};
use jiff::Timestamp;
use job_model::{
    DecodeError, Deviation,
    object::{Cluster, DecodedObject, Node, Object, ObjectKind, ObjectState},
};

use super::unreadable::Requested;
use crate::request::{FetchError, date, request_id};

/// A cluster or a node as read by one attempt, with details of the reply.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ObjectReading<T> {
    /// The object.
    pub object: T,
    /// The differences from the documented form that decoding tolerated; normally empty.
    pub deviations: Vec<Deviation>,
    /// The service's id for the request (`X-Request-Id`), for questions to its support.
    pub request_id: Option<String>,
    /// The service's time when it replied (`Date`), in whole seconds.
    pub date: Option<Timestamp>,
    /// Whether the credentials were refreshed during the attempt.
    pub credentials_refreshed: bool,
}

impl<T> ObjectReading<T> {
    /// Creates a reading without a request id or a date, for custom sources.
    ///
    /// # Examples
    ///
    /// ```
    /// use job_model::object::{Cluster, ClusterPhase};
    /// use job_transport::ObjectReading;
    ///
    /// let reading = ObjectReading::new(Cluster::new().with_phase(ClusterPhase::Available));
    /// assert!(reading.date.is_none());
    /// ```
    #[must_use]
    pub const fn new(object: T) -> Self {
        Self {
            object,
            deviations: Vec::new(),
            request_id: None,
            date: None,
            credentials_refreshed: false,
        }
    }

    /// Sets the service's time when it replied.
    #[must_use]
    pub const fn with_date(mut self, date: Option<Timestamp>) -> Self {
        self.date = date;
        self
    }

    /// Sets whether the credentials were refreshed during the attempt.
    #[must_use]
    pub const fn with_credentials_refreshed(mut self, refreshed: bool) -> Self {
        self.credentials_refreshed = refreshed;
        self
    }

    /// Converts the object.
    #[must_use]
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> ObjectReading<U> {
        let Self { object, deviations, request_id, date, credentials_refreshed } = self;
        let object = convert(object);
        ObjectReading { object, deviations, request_id, date, credentials_refreshed }
    }
}

impl ObjectReading<Cluster> {
    /// Returns what the cluster's phase means.
    #[must_use]
    pub fn state(&self) -> ObjectState {
        self.object.state()
    }
}

impl ObjectReading<Node> {
    /// Returns what the node's phase means at the time of the reply
    /// ([`Node::state_at`]).
    #[must_use]
    pub fn state(&self) -> ObjectState {
        self.object.state_at(self.date)
    }
}

impl ObjectReading<Object> {
    /// Decodes a reply that should contain an object of this kind. 200 is the only success.
    ///
    /// # Examples
    ///
    /// ```
    /// use bytes::Bytes;
    /// use job_model::object::{ObjectKind, ObjectState};
    /// use job_transport::ObjectReading;
    ///
    /// let body = Bytes::from_static(br#"{"kind": "Node", "status": {"phase": "Active"}}"#);
    /// let reading = ObjectReading::from_response(ObjectKind::Node, &http::Response::new(body))?;
    /// assert_eq!(reading.state(), ObjectState::Ready);
    /// # Ok::<(), job_transport::FetchError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the status is not 200, or if the body is not an object of this kind
    /// ([`Object::is_foreign`]). The error describes the body.
    pub fn from_response(kind: ObjectKind, response: &Response<Bytes>) -> Result<Self, FetchError> {
        if response.status() != StatusCode::OK {
            return Err(FetchError::from_response(response));
        }
        match kind {
            ObjectKind::Cluster => Ok(read_ok_response::<Cluster>(response)?.map(Object::Cluster)),
            ObjectKind::Node => Ok(read_ok_response::<Node>(response)?.map(Object::Node)),
        }
    }

    /// Returns what the object's phase means at the time of the reply ([`Object::state_at`]).
    #[must_use]
    pub fn state(&self) -> ObjectState {
        self.object.state_at(self.date)
    }
}

/// An object that a reply can contain.
pub(super) trait ReadObject: Sized + Send + 'static {
    const KIND: ObjectKind;

    fn decode(body: &[u8]) -> Result<DecodedObject<Self>, DecodeError>;

    fn is_foreign(&self) -> bool;
}

macro_rules! read_object {
    ($($object:ident),+) => {
        $(impl ReadObject for $object {
            const KIND: ObjectKind = Self::KIND;

            fn decode(body: &[u8]) -> Result<DecodedObject<Self>, DecodeError> {
                Self::decode(body)
            }

            fn is_foreign(&self) -> bool {
                Self::is_foreign(self)
            }
        })+
    };
}

read_object!(Cluster, Node);

/// Reads a reply with status 200.
pub(super) fn read_ok_response<T: ReadObject>(
    response: &Response<Bytes>,
) -> Result<ObjectReading<T>, FetchError> {
    let request_id = request_id(response.headers()).map(String::from);
    let date = date(response.headers());
    let body = response.body();
    let DecodedObject { object, deviations, .. } = match T::decode(body) {
        Ok(decoded) if !decoded.object.is_foreign() => decoded,
        decoded => {
            let error = Requested::Object(T::KIND).error(body, decoded.err());
            return Err(error.with_request_id(request_id));
        }
    };
    Ok(ObjectReading { deviations, request_id, date, ..ObjectReading::new(object) })
}

#[cfg(test)]
mod tests;
