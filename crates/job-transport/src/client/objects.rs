//! Reads clusters and nodes.

use job_model::object::{Cluster, ClusterId, Node, NodeId, Object, ObjectId, ObjectKind};

use super::{
    Client, ObjectReading, OkReply,
    object_reading::{ReadObject, read_ok_response},
};
use crate::{
    request::{FetchError, Target},
    transport::off_thread,
};

/// Methods that read the objects that jobs create, change and delete.
impl Client {
    /// Reads the cluster once: `GET /api/v3/projects/{project_id}/clusters/{cluster_id}`, or below
    /// `/autopilot/v3` (see [`Endpoint::autopilot`](crate::Endpoint::autopilot)).
    ///
    /// Authentication, timeouts and the limit of the body are those of [`job`](Self::job).
    ///
    /// # Errors
    ///
    /// Returns an error if there are no credentials, no reply is received, the status is not 200, or
    /// the body is not a cluster; see [`FetchError`]. If the cluster does not exist, the class is
    /// [`ErrorClass::NotFound`](crate::ErrorClass::NotFound).
    ///
    /// # Cancel safety
    ///
    /// The same as for [`job`](Self::job).
    pub async fn cluster(&self, id: &ClusterId) -> Result<ObjectReading<Cluster>, FetchError> {
        self.read_object(&ObjectId::Cluster(id.clone())).await
    }

    /// Reads the node once:
    /// `GET /api/v3/projects/{project_id}/clusters/{cluster_id}/nodes/{node_id}`, or below
    /// `/autopilot/v3` (see [`Endpoint::autopilot`](crate::Endpoint::autopilot)).
    /// No document shows the path for Autopilot clusters; it is inferred from that of the cluster.
    ///
    /// Authentication, timeouts and the limit of the body are those of [`job`](Self::job).
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`cluster`](Self::cluster).
    ///
    /// # Cancel safety
    ///
    /// The same as for [`job`](Self::job).
    pub async fn node(
        &self,
        cluster: &ClusterId,
        id: &NodeId,
    ) -> Result<ObjectReading<Node>, FetchError> {
        self.read_object(&ObjectId::Node { cluster: cluster.clone(), node: id.clone() }).await
    }

    /// Reads the cluster or node once, as [`cluster`](Self::cluster) and [`node`](Self::node) do.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`cluster`](Self::cluster).
    ///
    /// # Cancel safety
    ///
    /// The same as for [`job`](Self::job).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(client: job_transport::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use job_model::object::{ObjectId, ObjectState};
    ///
    /// let id = ObjectId::Node { cluster: "4a5b".parse()?, node: "7c2f".parse()? };
    /// let reading = client.object(&id).await?;
    /// if reading.state() == ObjectState::Ready {
    ///     println!("{id} is ready");
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn object(&self, id: &ObjectId) -> Result<ObjectReading<Object>, FetchError> {
        match id.kind() {
            ObjectKind::Cluster => Ok(self.read_object::<Cluster>(id).await?.map(Object::Cluster)),
            ObjectKind::Node => Ok(self.read_object::<Node>(id).await?.map(Object::Node)),
        }
    }

    async fn read_object<T: ReadObject>(
        &self,
        id: &ObjectId,
    ) -> Result<ObjectReading<T>, FetchError> {
        self.within_timeout(Target::Object(id), async |ok| {
            let OkReply { response, credentials_refreshed } = ok;
            let bytes = response.body().len();
            match off_thread(bytes, move || read_ok_response(&response)).await {
                Ok(reading) => Ok(ObjectReading { credentials_refreshed, ..reading }),
                Err(error) => Err(error.with_credentials_refreshed(credentials_refreshed)),
            }
        })
        .await
    }
}
