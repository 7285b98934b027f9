-- Put a job off on behalf of one attempt: it is queued again, but for later.
--
-- KEYS     the job's record, the jobs that are delayed, by the moment at which they are due
-- ARGV     attempt, moment (Unix time, s), 1 if the attempt shall not count against the limit
--
-- Returns  1 if the job was put off, 0 if the attempt has been superseded.

local record = redis.call("hmget", KEYS[1], "status", "attempt")
if record[1] ~= "running" or record[2] ~= ARGV[1] then
  return 0
end
redis.call("hset", KEYS[1], "status", "queued", "progress", "0")
redis.call("hincrby", KEYS[1], "uncounted", ARGV[3])
redis.call("zadd", KEYS[2], ARGV[2], string.sub(KEYS[1], 5))
return 1
