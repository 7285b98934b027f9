"""What processes had counted when they were last asked: one that is killed takes it along."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from offloop.bench.asking import NoAnswerError
from offloop.bench.measures import Scrape
from offloop.bench.scraping import scrape_process
from offloop.stack.service import Service


class LastSeen:
    """Asks the processes of a service now and then, as whoever watches it has time.

    Args:
        service: Whose server may kill and replace a process.
        before: The metrics of each process, in the order of `Service.metrics_urls`.
    """

    def __init__(self, service: Service, before: Sequence[Mapping[str, float]]) -> None:
        self._service = service
        self._scrapes = [Scrape(before=each, after=each) for each in before]

    def look(self) -> None:
        """Ask each process that is still there; one that does not answer is about to be gone."""
        for number, url in enumerate(self._service.metrics_urls):
            with suppress(NoAnswerError):
                seen = Scrape(self._scrapes[number].before, scrape_process(self._service, url))
                if not seen.restarted:
                    self._scrapes[number] = seen

    def of_replaced(self, after: Sequence[Mapping[str, float]]) -> list[Scrape]:
        """Return what is known of those in whose place there is another one now."""
        return [
            seen
            for seen, now in zip(self._scrapes, after, strict=True)
            if Scrape(seen.before, now).restarted
        ]
