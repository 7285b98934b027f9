-- Change a job's record on behalf of one attempt: only while it runs, and only for the
-- attempt that claimed it last.
--
-- KEYS[1]  the job's record
-- ARGV     attempt, channel ("" to publish nothing), time to live (s), then fields and values
--
-- Returns  1 if the record was changed, 0 if the attempt has been superseded.

local record = redis.call("hmget", KEYS[1], "status", "attempt")
if record[1] ~= "running" or record[2] ~= ARGV[1] then
  return 0
end
redis.call("hset", KEYS[1], unpack(ARGV, 4))
redis.call("expire", KEYS[1], ARGV[3])
if ARGV[2] ~= "" then
  redis.call("publish", ARGV[2], string.sub(KEYS[1], 5))
end
return 1
