-- Accept a job: its record and its message become durable together, or not at all.
--
-- KEYS[1]  the job's record (in this database)
-- ARGV     broker database, records database, record's time to live (s),
--          queue, message id, message, then the record's fields and values
--
-- Writes to the queue what RedisBroker's own "enqueue" writes: hset, then rpush.

local broker_db, records_db, ttl = ARGV[1], ARGV[2], ARGV[3]
local queue, message_id, message = ARGV[4], ARGV[5], ARGV[6]

redis.call("hset", KEYS[1], unpack(ARGV, 7))
redis.call("expire", KEYS[1], ttl)

redis.call("select", broker_db)
redis.call("hset", queue .. ".msgs", message_id, message)
redis.call("rpush", queue, message_id)
redis.call("select", records_db)
