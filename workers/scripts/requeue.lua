-- Queue a job that has waited long enough, unless somebody else just has.
--
-- KEYS[1]  the jobs that wait for another attempt, by the moment at which they are due
-- KEYS[2]  the job's record
-- ARGV     job id, broker database, records database, queue's key, message id, message
--
-- Returns  1 if the job was queued, 0 if it does not wait any more.

if redis.call("zrem", KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call("hset", KEYS[2], "message_id", ARGV[5])
redis.call("select", ARGV[2])
redis.call("hset", ARGV[4] .. ".msgs", ARGV[5], ARGV[6])
redis.call("rpush", ARGV[4], ARGV[5])
redis.call("select", ARGV[3])
return 1
