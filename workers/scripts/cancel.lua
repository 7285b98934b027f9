-- Cancel a job that nobody works on yet.
--
-- KEYS     the job's record, the jobs that wait for another attempt, those that have not come to an
--          end, the callbacks to deliver
-- ARGV     broker database, records database, prefix of a queue's key, finished_at, channel
--
-- Returns  the job's status before, or nothing where there is no such job; it was cancelled if
--          that is "queued".

local record = redis.call("hmget", KEYS[1], "status", "message_id", "queue")
if record[1] ~= "queued" then
  return record[1]
end
redis.call("hset", KEYS[1], "status", "cancelled", "finished_at", ARGV[4])
redis.call("zrem", KEYS[2], string.sub(KEYS[1], 5))
local queue_key = ARGV[3] .. record[3]
redis.call("select", ARGV[1])
-- A message that a worker has fetched already is its to acknowledge: its claim will fail.
if redis.call("lrem", queue_key, 1, record[2]) == 1 then
  redis.call("hdel", queue_key .. ".msgs", record[2])
end
redis.call("select", ARGV[2])
ended(KEYS[1], KEYS[3], KEYS[4], ARGV[5])
return record[1]
