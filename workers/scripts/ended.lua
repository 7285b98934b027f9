-- What every script does that brings a job to its end: nobody has to look after it any more, its
-- record is kept for so long, and whoever wants to be called back will be. The event's id is the
-- same however often it is delivered, and another one if the job is revived and ends again.
local function ended(record, keys, ttl, channel)
  local job_id, time = string.sub(record, 5), redis.call("time")
  local now = time[1] + time[2] / 1e6
  local job = redis.call("hmget", record, "status", "attempt", "finished_at", "callback_url",
    "queue")
  local endings = redis.call("hincrby", record, "endings", 1)
  redis.call("srem", "open:" .. job[5], job_id)
  redis.call("zrem", keys.delayed, job_id)
  redis.call("expire", record, ttl)
  redis.call("zadd", keys.ended, now + ttl, job_id)
  if job[4] then
    local event_id = job_id .. "-" .. endings
    redis.call("hset", "event:" .. event_id, "type", "report." .. job[1], "job_id", job_id,
      "status", job[1], "attempt", job[2], "occurred_at", job[3], "url", job[4], "tries", "0")
    redis.call("zadd", keys.outbox, now, event_id)
  end
  redis.call("publish", channel, job_id)
end
