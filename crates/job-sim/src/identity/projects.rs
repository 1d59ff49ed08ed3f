//! Lists the projects of the caller.

use bytes::Bytes;
use http::{Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::{Exchange, IdentityService};
use crate::{auth::account, reply::json_reply};

impl IdentityService {
    /// Answers `GET /v3/projects`, for a project's name in the query or for all projects.
    pub(super) fn list_projects(&self, exchange: Exchange<'_>) -> Response<Bytes> {
        let authenticated = exchange.authenticator.authenticate(exchange.request, exchange.now);
        if let Err(error) = authenticated {
            return json_reply(error.status, &error.body);
        }
        let query = exchange.request.uri().query().unwrap_or_default();
        let mut parameters = query.split('&').filter_map(|parameter| parameter.split_once('='));
        let name = parameters.find(|(name, _)| *name == "name").map(|(_, value)| value);
        let name = name.map(|name| percent_decode_str(name).decode_utf8_lossy());
        let own = (exchange.authenticator.project().as_str(), account::PROJECT_NAME);
        let others = self.projects.iter().map(|(id, name)| (&**id, &**name));
        let listed = std::iter::once(own).chain(others);
        let listed = listed.filter(|(_, own)| name.as_ref().is_none_or(|name| name == own));
        let project = |(id, name): (&str, &str)| {
            json!({"id": id, "name": name, "domain_id": "simulated-domain-id", "enabled": true,
                "is_domain": false, "parent_id": "simulated-domain-id", "description": ""})
        };
        let projects: Vec<_> = listed.map(project).collect();
        let link = format!("{}/v3/projects", exchange.origin);
        let body = json!({"projects": projects, "links": {"self": link, "next": null}});
        json_reply(StatusCode::OK, &body)
    }
}
