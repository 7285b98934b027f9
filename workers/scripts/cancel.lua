-- Cancel a job that nobody works on yet.
--
-- KEYS[1]  the job's record
-- KEYS[2]  the jobs that wait for another attempt
-- ARGV     broker database, records database, queue, finished_at, channel
--
-- Returns  the job's status before, or nothing where there is no such job; it was cancelled if
--          that is "queued".

local record = redis.call("hmget", KEYS[1], "status", "message_id")
if record[1] ~= "queued" then
  return record[1]
end
local job_id = string.sub(KEYS[1], 5)
redis.call("hset", KEYS[1], "status", "cancelled", "finished_at", ARGV[4])
redis.call("zrem", KEYS[2], job_id)
redis.call("select", ARGV[1])
-- A message that a worker has fetched already is its to acknowledge: its claim will fail.
if redis.call("lrem", ARGV[3], 1, record[2]) == 1 then
  redis.call("hdel", ARGV[3] .. ".msgs", record[2])
end
redis.call("select", ARGV[2])
redis.call("publish", ARGV[5], job_id)
return record[1]
