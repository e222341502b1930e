//! The private PostgreSQL: it keeps what was committed through a kill, and leaves nothing behind.

use sandbox::postgres::Cluster;

#[test]
fn what_is_committed_survives_a_kill_and_a_restart() {
    let Some(cluster) = Cluster::start_if_available("the tests of the private postgresql") else { return };
    let cluster = cluster.unwrap();
    let url = cluster.new_database().unwrap();
    let other = cluster.new_database().unwrap();
    assert_ne!(url, other);
    let (_, database) = url.rsplit_once('/').unwrap();
    for setting in ["fsync", "synchronous_commit"] {
        assert_eq!(cluster.query(database, &format!("SHOW {setting}")).unwrap(), "on");
    }
    cluster.query(database, "CREATE TABLE kept (n int)").unwrap();
    for n in 1..=3 {
        cluster.query(database, &format!("INSERT INTO kept VALUES ({n})")).unwrap();
        if n == 2 {
            cluster.restart().unwrap();
        } else {
            cluster.kill();
            assert!(cluster.query(database, "SELECT 1").is_err());
            cluster.start_again().unwrap();
        }
        assert_eq!(cluster.query(database, "SELECT count(*) FROM kept").unwrap(), n.to_string());
    }
    assert!(cluster.query(database, "SELECT * FROM missing").unwrap_err().to_string().contains("missing"));
}
