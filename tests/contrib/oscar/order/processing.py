from oscar.apps.order import processing


class EventHandler(processing.EventHandler):
    """The shop's own: it takes the payment when goods leave."""

    def handle_shipping_event(self, order, event_type, lines, line_quantities, **kwargs):
        event = super().handle_shipping_event(order, event_type, lines, line_quantities, **kwargs)
        self.create_note(order, f"Took the payment for {sum(line_quantities)}")
        return event
