-- Queue the jobs again that have not come to an end, and of which there is no message.
--
-- KEYS     the jobs of one queue that have not come to an end, the jobs that are delayed, then the
--          records to look at
-- ARGV     broker database, records database, queue's key
--
-- Returns  the ids of the jobs that were queued again.

local swept = {}
for index = 3, #KEYS do
  local record = KEYS[index]
  local job_id = string.sub(record, 5)
  local job = redis.call("hmget", record, "status", "message_id")
  if job[1] ~= "queued" and job[1] ~= "running" then
    redis.call("srem", KEYS[1], job_id)
  elseif not redis.call("zscore", KEYS[2], job_id) then
    redis.call("select", ARGV[1])
    local held = job[2] and redis.call("hexists", ARGV[3] .. ".msgs", job[2]) or 0
    redis.call("select", ARGV[2])
    if held == 0 then
      redis.call("hset", record, "status", "queued", "progress", "0")
      redis.call("zadd", KEYS[2], 0, job_id)
      swept[#swept + 1] = job_id
    end
  end
end
return swept
