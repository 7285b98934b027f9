-- Accept jobs: the record and the message of each become durable together, or not at all.
--
-- KEYS     the jobs' records (in this database)
-- ARGV     broker database, records database, a record's time to live (s), queue,
--          then for each job: message id, message, accepted_at, spec
--
-- Writes to the queue what RedisBroker's own "enqueue" writes: hset, then rpush.

local broker_db, records_db, ttl, queue = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

for index, record in ipairs(KEYS) do
  local job = 4 * index
  redis.call("hset", record, "status", "queued", "attempt", "0", "progress", "0",
    "accepted_at", ARGV[job + 3], "spec", ARGV[job + 4])
  redis.call("expire", record, ttl)
end

redis.call("select", broker_db)
for index = 1, #KEYS do
  local job = 4 * index
  redis.call("hset", queue .. ".msgs", ARGV[job + 1], ARGV[job + 2])
  redis.call("rpush", queue, ARGV[job + 1])
end
redis.call("select", records_db)
