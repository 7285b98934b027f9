-- Give a job that failed or was cancelled a new set of attempts.
--
-- KEYS[1]  the job's record
-- KEYS[2]  the jobs that wait for another attempt
--
-- Attempts go on counting, because their numbers are fencing tokens; `revived_at_attempt` says
-- from where.
--
-- Returns  the job's status before, or nothing where there is no such job; it was revived if that
--          is "failed" or "cancelled".

local record = redis.call("hmget", KEYS[1], "status", "attempt")
if record[1] ~= "failed" and record[1] ~= "cancelled" then
  return record[1]
end
redis.call("hset", KEYS[1], "status", "queued", "progress", "0", "revived_at_attempt", record[2])
redis.call("hdel", KEYS[1], "problem", "finished_at")
redis.call("zadd", KEYS[2], 0, string.sub(KEYS[1], 5))
return record[1]
