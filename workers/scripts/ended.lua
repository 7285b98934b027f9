-- What every script does that brings a job to its end: nobody has to look after it any more, and
-- whoever wants to be called back will be. The event's id is the same however often it is
-- delivered, and another one if the job is revived and ends again.
local function ended(record, open, outbox, channel)
  local job_id = string.sub(record, 5)
  redis.call("srem", open, job_id)
  local job = redis.call("hmget", record, "status", "attempt", "finished_at", "callback_url")
  if job[4] then
    local event_id = job_id .. "-" .. redis.call("hincrby", record, "endings", 1)
    local now = redis.call("time")
    redis.call("hset", "event:" .. event_id, "type", "report." .. job[1], "job_id", job_id,
      "status", job[1], "attempt", job[2], "occurred_at", job[3], "url", job[4], "tries", "0")
    redis.call("zadd", outbox, now[1] + now[2] / 1e6, event_id)
  end
  redis.call("publish", channel, job_id)
end
