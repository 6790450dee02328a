-- The chain between batches: each lane is one, from its first hash to the head that its lane remembers.

-- name: batches_are_linked
WITH linked AS (
    SELECT batch_id, lane, lane_no, previous_hash,
           lag(lane_no, 1, 0::bigint) OVER in_lane AS no_before,
           lag(batch_id, 1, 0::bigint) OVER in_lane AS batch_before,
           lag(hash, 1, sha256(convert_to('postrail ledger, lane ' || lane, 'UTF8'))) OVER in_lane AS hash_before
      FROM ledger.batches
    WINDOW in_lane AS (PARTITION BY lane ORDER BY lane_no)
)
SELECT 'batch ' || batch_id || ' (lane ' || lane || ' no. ' || lane_no || ')' AS key,
       CASE WHEN lane_no <> no_before + 1 THEN 'no. ' || no_before + 1 || ' of the lane is missing before it'
            WHEN no_before = 0 THEN 'does not begin at the first hash of its lane'
            ELSE 'does not name the hash of batch ' || batch_before || ', the one before it in its lane' END AS detail,
       count(*) OVER () AS count
  FROM linked
 WHERE lane_no <> no_before + 1 OR previous_hash IS DISTINCT FROM hash_before
 ORDER BY batch_id
 LIMIT 1;

-- name: lanes_end_at_their_heads
SELECT 'lane ' || coalesce(l.lane, b.lane) AS key,
       CASE WHEN l.lane IS NULL THEN 'has batches, and the ledger does not know it'
            WHEN l.last_no <> coalesce(b.lane_no, 0)
            THEN 'the lane says its last batch is no. ' || l.last_no || ', the last one there is no. '
                 || coalesce(b.lane_no, 0)
            ELSE 'the head hash of the lane is not the hash of its last batch, no. ' || coalesce(b.lane_no, 0) END
           AS detail,
       count(*) OVER () AS count
  FROM ledger.lanes AS l
  FULL JOIN (SELECT DISTINCT ON (lane) lane, lane_no, hash FROM ledger.batches ORDER BY lane, lane_no DESC) AS b
         ON b.lane = l.lane
 WHERE l.lane IS NULL
    OR l.last_no <> coalesce(b.lane_no, 0)
    OR l.head_hash <> coalesce(b.hash, sha256(convert_to('postrail ledger, lane ' || l.lane, 'UTF8')))
 ORDER BY coalesce(l.lane, b.lane)
 LIMIT 1;

-- name: heads
-- What an anchor keeps of each lane. One statement, so that all heads are of one moment.
SELECT l.lane, l.last_no AS lane_no, b.batch_id, l.head_hash AS hash, b.recorded_at
  FROM ledger.lanes AS l
  LEFT JOIN ledger.batches AS b ON b.lane = l.lane AND b.lane_no = l.last_no
 ORDER BY l.lane;

-- name: find_links
-- The hashes that stand at places of the chain, aligned with the places; null where there is none.
SELECT CASE WHEN p.lane_no = 0 THEN sha256(convert_to('postrail ledger, lane ' || p.lane, 'UTF8')) ELSE b.hash END AS hash,
       b.batch_id
  FROM unnest($1::smallint[], $2::bigint[]) WITH ORDINALITY AS p (lane, lane_no, no)
  LEFT JOIN ledger.batches AS b ON b.lane = p.lane AND b.lane_no = p.lane_no
 ORDER BY p.no;
