-- Give a job that failed or was cancelled a new set of attempts.
--
-- KEYS     the job's record, the jobs that are delayed, those that have come to an end
--
-- Attempts go on counting, because their numbers are fencing tokens; `uncounted` says how many of
-- them the limit does not know.
--
-- Returns  the job's status before, or nothing where there is no such job; it was revived if that
--          is "failed" or "cancelled".

local job_id = string.sub(KEYS[1], 5)
local record = redis.call("hmget", KEYS[1], "status", "attempt", "queue")
if record[1] ~= "failed" and record[1] ~= "cancelled" then
  return record[1]
end
redis.call("hset", KEYS[1], "status", "queued", "progress", "0", "uncounted", record[2])
redis.call("hdel", KEYS[1], "problem", "finished_at")
redis.call("persist", KEYS[1])
redis.call("zrem", KEYS[3], job_id)
redis.call("sadd", "open:" .. record[3], job_id)
redis.call("zadd", KEYS[2], 0, job_id)
return record[1]
