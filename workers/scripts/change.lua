-- Note something about one attempt: only while the job runs, and only for the attempt that claimed
-- it last.
--
-- KEYS[1]  the job's record
-- ARGV     attempt, then fields and values
--
-- Returns  1 if it was noted, 0 if the attempt has been superseded.

local record = redis.call("hmget", KEYS[1], "status", "attempt")
if record[1] ~= "running" or record[2] ~= ARGV[1] then
  return 0
end
redis.call("hset", KEYS[1], unpack(ARGV, 2))
return 1
