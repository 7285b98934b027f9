-- Cancel a job that nobody works on yet.
--
-- KEYS     the job's record, the jobs that are delayed, those that have come to an end, the
--          callbacks to deliver
-- ARGV     broker database, records database, prefix of a queue's key, finished_at, channel, a
--          record's time to live (s)
--
-- Returns  the job's status before, or nothing where there is no such job; it was cancelled if
--          that is "queued". A job that was billed at an earlier attempt is "billed".

local record = redis.call("hmget", KEYS[1], "status", "message_id", "queue", "billed")
if record[1] ~= "queued" then
  return record[1]
end
if record[4] then
  return "billed"
end
redis.call("hset", KEYS[1], "status", "cancelled", "finished_at", ARGV[4])
local queue_key = ARGV[3] .. record[3]
redis.call("select", ARGV[1])
-- A message that a worker has fetched already is its to acknowledge: its claim will fail.
if redis.call("lrem", queue_key, 1, record[2]) == 1 then
  redis.call("hdel", queue_key .. ".msgs", record[2])
end
redis.call("select", ARGV[2])
ended(KEYS[1], {delayed = KEYS[2], ended = KEYS[3], outbox = KEYS[4]}, ARGV[6], ARGV[5])
return record[1]
