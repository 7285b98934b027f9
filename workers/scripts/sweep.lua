-- Queue the jobs again that have not come to an end, and of which there is no message.
--
-- KEYS     the jobs that wait for another attempt, those that have not come to an end, then the
--          records to look at
-- ARGV     broker database, records database, prefix of a queue's key
--
-- Returns  the ids of the jobs that were queued again.

local swept = {}
for index = 3, #KEYS do
  local record = KEYS[index]
  local job_id = string.sub(record, 5)
  local job = redis.call("hmget", record, "status", "queue", "message_id")
  if job[1] ~= "queued" and job[1] ~= "running" then
    redis.call("srem", KEYS[2], job_id)
  elseif not redis.call("zscore", KEYS[1], job_id) then
    redis.call("select", ARGV[1])
    local held = redis.call("hexists", ARGV[3] .. job[2] .. ".msgs", job[3])
    redis.call("select", ARGV[2])
    if held == 0 then
      redis.call("hset", record, "status", "queued", "progress", "0")
      redis.call("zadd", KEYS[1], 0, job_id)
      swept[#swept + 1] = job_id
    end
  end
end
return swept
