//! Tests what each phase means, with the tables written a second time.

use alloc::{format, string::ToString};

use super::{ClusterPhase as Cluster, NodePhase as Node, ObjectState::*, *};

/// Defines a test of a kind of phases.
macro_rules! check_phases {
    ($phases:ident, $rows:expr) => {
        let rows = $rows;
        let known: alloc::vec::Vec<_> = rows.iter().map(|(phase, ..)| phase.clone()).collect();
        assert_eq!(known.len(), $phases::KNOWN_PHASES.len());
        for (phase, text, state) in rows {
            assert!($phases::KNOWN_PHASES.contains(&phase), "{phase}");
            assert_eq!((phase.as_str(), phase.state()), (text, state));
            assert_eq!($phases::from(text), phase);
            assert_eq!($phases::read(text), (Some(phase.clone()), None));
            for other_case in [text.to_ascii_lowercase(), text.to_ascii_uppercase()] {
                assert_eq!(other_case.parse(), Ok(phase.clone()));
                assert_eq!($phases::from(other_case.clone()), phase);
                let odd = (Some(phase.clone()), Some(DeviationKind::UnrecognizedPhase));
                assert_eq!($phases::read(&other_case), odd);
            }
            let json = format!("\"{text}\"");
            assert_eq!(serde_json::to_string(&phase).unwrap(), json);
            assert_eq!(serde_json::from_str::<$phases>(&json).unwrap(), phase);
            assert_eq!(format!("{phase:>16}"), format!("{text:>16}"));
        }
        for text in ["Moving", " ", "ready", "Available ", "Act\u{131}ve", "a\"\n"] {
            let unknown = $phases::Unknown(text.into());
            assert_eq!($phases::from(text), unknown);
            assert_eq!($phases::from(String::from(text)), unknown);
            assert_eq!((unknown.state(), unknown.as_str()), (UnderWay, text));
            assert_eq!($phases::read(text).1, Some(DeviationKind::UnrecognizedPhase));
            assert_eq!($phases::read(text).0, Some(unknown.clone()));
            assert_eq!(unknown.to_string(), format!("{}", Quoted(text)));
            let json = serde_json::to_string(&unknown).unwrap();
            assert_eq!(serde_json::from_str::<$phases>(&json).unwrap(), unknown);
        }
        assert_eq!($phases::read(""), (None, Some(DeviationKind::UnrecognizedPhase)));
    };
}

#[test]
fn each_phase_of_a_cluster_has_a_state() {
    check_phases!(
        Cluster,
        [
            (Cluster::Available, "Available", Ready),
            (Cluster::Unavailable, "Unavailable", Broken),
            (Cluster::Error, "Error", Broken),
            (Cluster::RollbackFailed, "RollbackFailed", Broken),
            (Cluster::ResizeFailed, "ResizeFailed", Broken),
            (Cluster::ScalingUp, "ScalingUp", UnderWay),
            (Cluster::ScalingDown, "ScalingDown", UnderWay),
            (Cluster::Creating, "Creating", UnderWay),
            (Cluster::Deleting, "Deleting", UnderWay),
            (Cluster::Upgrading, "Upgrading", UnderWay),
            (Cluster::Resizing, "Resizing", UnderWay),
            (Cluster::RollingBack, "RollingBack", UnderWay),
            (Cluster::Hibernating, "Hibernating", UnderWay),
            (Cluster::Hibernation, "Hibernation", UnderWay),
            (Cluster::Awaking, "Awaking", UnderWay),
            (Cluster::Freezing, "Freezing", UnderWay),
            (Cluster::Empty, "Empty", UnderWay),
        ]
    );
}

#[test]
fn each_phase_of_a_node_has_a_state() {
    check_phases!(
        Node,
        [
            (Node::Active, "Active", Ready),
            (Node::Abnormal, "Abnormal", Broken),
            (Node::Error, "Error", Broken),
            (Node::RepairFailed, "RepairFailed", Broken),
            (Node::Build, "Build", UnderWay),
            (Node::Installing, "Installing", UnderWay),
            (Node::Upgrading, "Upgrading", UnderWay),
            (Node::Deleting, "Deleting", UnderWay),
            (Node::Repairing, "Repairing", UnderWay),
        ]
    );
}

#[test]
fn states_have_a_name_and_a_text() {
    let rows = [
        (Ready, "ready", "ready"),
        (UnderWay, "under_way", "under way"),
        (Broken, "broken", "broken"),
        (Gone, "gone", "gone"),
    ];
    for (state, name, text) in rows {
        assert_eq!((state.as_str(), format!("{state:>10}")), (name, format!("{text:>10}")));
        let json = format!("\"{name}\"");
        assert_eq!(serde_json::to_string(&state).unwrap(), json);
        assert_eq!(serde_json::from_str::<ObjectState>(&json).unwrap(), state);
    }
}
