-- Bring a job to its end on behalf of one attempt: only while it runs, and only for the attempt
-- that claimed it last.
--
-- KEYS     the job's record, the jobs that are delayed, those that have come to an end, the
--          callbacks to deliver, the moments at which the latest jobs of its queue were finished
-- ARGV     attempt, channel, a record's time to live (s), then fields and values
--
-- Returns  1 if the job was finished, 0 if the attempt has been superseded.

-- Enough moments for a rate that is no accident.
local MOMENTS = 50

local record = redis.call("hmget", KEYS[1], "status", "attempt")
if record[1] ~= "running" or record[2] ~= ARGV[1] then
  return 0
end
redis.call("hset", KEYS[1], unpack(ARGV, 4))
local now = redis.call("time")
redis.call("lpush", KEYS[5], now[1] + now[2] / 1e6)
redis.call("ltrim", KEYS[5], 0, MOMENTS - 1)
redis.call("expire", KEYS[5], ARGV[3])
ended(KEYS[1], {delayed = KEYS[2], ended = KEYS[3], outbox = KEYS[4]}, ARGV[3], ARGV[2])
return 1
