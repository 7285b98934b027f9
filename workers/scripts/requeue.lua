-- Queue a job that was delayed for long enough, unless somebody else just has.
--
-- KEYS     the job's record, the jobs that are delayed, by the moment at which they are due
-- ARGV     job id, broker database, records database, queue's key, message id, message
--
-- Returns  1 if the job was queued, 0 if it waits for nothing any more.

if redis.call("zrem", KEYS[2], ARGV[1]) == 0 or redis.call("hget", KEYS[1], "status") ~= "queued" then
  return 0
end
redis.call("hset", KEYS[1], "message_id", ARGV[5])
redis.call("select", ARGV[2])
redis.call("hset", ARGV[4] .. ".msgs", ARGV[5], ARGV[6])
redis.call("rpush", ARGV[4], ARGV[5])
redis.call("select", ARGV[3])
return 1
