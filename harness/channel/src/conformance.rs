//! Behaviour suites, generic over each trait.
