-- Accept jobs: the record and the message of each become durable together, or not at all.
--
-- KEYS     the index of all jobs by the moment they were accepted, then the jobs' records (in
--          this database)
-- ARGV     broker database, records database, a record's time to live (s), queue,
--          most messages the queue may hold, an idempotency key's time to live (s), then for
--          each job: message id, message, accepted_at, spec, key of its idempotency key ("" for
--          none), fingerprint of its request
--
-- Returns  for each job {"accepted"}, {"replayed", id of the job that the key stands for},
--          {"conflict"} where that job was asked for with another request, or {"full"}
--
-- Writes to the queue what RedisBroker's own "enqueue" writes: hset, then rpush.

local broker_db, records_db, record_ttl, queue = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local limit, key_ttl = tonumber(ARGV[5]), ARGV[6]

redis.call("select", broker_db)
-- A message stays in the hash until it is acknowledged: this counts running jobs too.
local held = redis.call("hlen", queue .. ".msgs")
redis.call("select", records_db)

local time = redis.call("time")
local answers, messages = {}, {}
for index = 1, #KEYS - 1 do
  local record, job = KEYS[index + 1], 6 * index
  local key, fingerprint = ARGV[job + 5], ARGV[job + 6]
  local known = key ~= "" and redis.call("hmget", key, "job_id", "fingerprint") or {false}
  if known[1] then
    answers[index] = known[2] == fingerprint and {"replayed", known[1]} or {"conflict"}
  elseif held >= limit then
    answers[index] = {"full"}
  else
    redis.call("hset", record, "status", "queued", "attempt", "0", "progress", "0",
      "accepted_at", ARGV[job + 3], "spec", ARGV[job + 4], "message_id", ARGV[job + 1])
    redis.call("expire", record, record_ttl)
    redis.call("zadd", KEYS[1], time[1] + time[2] / 1e6, string.sub(record, 5))
    if key ~= "" then
      redis.call("hset", key, "job_id", string.sub(record, 5), "fingerprint", fingerprint)
      redis.call("expire", key, key_ttl)
    end
    held = held + 1
    messages[#messages + 1] = job
    answers[index] = {"accepted"}
  end
end

redis.call("select", broker_db)
for _, job in ipairs(messages) do
  redis.call("hset", queue .. ".msgs", ARGV[job + 1], ARGV[job + 2])
  redis.call("rpush", queue, ARGV[job + 1])
end
redis.call("select", records_db)
return answers
