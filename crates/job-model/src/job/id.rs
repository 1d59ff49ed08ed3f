//! Defines the ids of jobs and projects.

use crate::id::id;

id! {
    /// A job's id, as returned by the call that created the job. Cheap to clone.
    ///
    /// An id is opaque text of at most 128 bytes. It is never trimmed: white space around it is an
    /// error.
    ///
    /// ```
    /// use std::collections::HashMap;
    ///
    /// use job_model::{IdError, JobId};
    ///
    /// let id: JobId = "354331b2c-229a-11e8-9c75-0255ac100ceb".parse()?;
    /// assert_eq!("../jobs".parse::<JobId>(), Err(IdError::InvalidCharacter('/')));
    /// assert_eq!(JobId::try_from("354331b2c\n"), Err(IdError::InvalidCharacter('\n')));
    /// assert_eq!(JobId::try_from(" 354331b2c"), Err(IdError::SurroundingSpace));
    ///
    /// // A map can be searched for the text of an id.
    /// let names = HashMap::from([(id, "prod")]);
    /// assert_eq!(names.get("354331b2c-229a-11e8-9c75-0255ac100ceb"), Some(&"prod"));
    /// # Ok::<(), IdError>(())
    /// ```
    JobId
}

id! {
    /// The id of the project (tenant) that a job belongs to. Cheap to clone.
    ProjectId
}
