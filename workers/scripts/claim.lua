-- Start an attempt at a job. The attempt's number is its fencing token: whoever holds an
-- older number cannot change the record any more.
--
-- KEYS[1]  the job's record
-- ARGV     started_at, id of the message that the attempt holds
--
-- Returns  the record as a flat list of fields and values, or nothing when the job is
--          unknown or was finished before.

local status = redis.call("hget", KEYS[1], "status")
if status ~= "queued" and status ~= "running" then
  return {}
end
redis.call("hincrby", KEYS[1], "attempt", 1)
redis.call("hset", KEYS[1], "status", "running", "started_at", ARGV[1], "progress", "0",
  "message_id", ARGV[2])
return redis.call("hgetall", KEYS[1])
