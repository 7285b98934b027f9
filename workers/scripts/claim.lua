-- Start an attempt at a job. The attempt's number is its fencing token: whoever holds an
-- older number cannot change the record any more.
--
-- KEYS     the job's record, the jobs that are delayed
-- ARGV     job id, started_at, message id, broker database, records database, prefix of the keys of
--          what the slot holds
--
-- Returns  the record as a flat list of fields and values, or nothing when the job is unknown or has
--          come to its end, or the message was given to another slot.

local job = redis.call("hmget", KEYS[1], "status", "queue")
if job[1] ~= "queued" and job[1] ~= "running" then
  return {}
end
-- A slot that was taken for dead may wake up with a message in hand that is another's by now. Its
-- claim would fence out the one who is at work.
redis.call("select", ARGV[4])
local held = redis.call("sismember", ARGV[6] .. job[2], ARGV[3])
redis.call("select", ARGV[5])
if held == 0 then
  return {}
end
redis.call("zrem", KEYS[2], ARGV[1])
redis.call("hincrby", KEYS[1], "attempt", 1)
redis.call("hset", KEYS[1], "status", "running", "started_at", ARGV[2], "progress", "0",
  "message_id", ARGV[3])
return redis.call("hgetall", KEYS[1])
