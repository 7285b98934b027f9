-- Put an event off on behalf of one try at delivering it.
--
-- KEYS     the events that have to be delivered, the event
-- ARGV     event id, number of the try, pause (s), why it failed
--
-- Returns  1 if the event was put off, 0 if it was leased again since, or is not there any more.

if redis.call("hget", KEYS[2], "tries") ~= ARGV[2] or not redis.call("zscore", KEYS[1], ARGV[1]) then
  return 0
end
local time = redis.call("time")
redis.call("hset", KEYS[2], "failure", ARGV[4])
redis.call("zadd", KEYS[1], time[1] + time[2] / 1e6 + ARGV[3], ARGV[1])
return 1
