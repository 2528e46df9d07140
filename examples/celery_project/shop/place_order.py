"""Place an order, as the shop's web page does: `python -m shop.place_order`."""

from drawbar import open_engine
from shop.tasks import total
from shop.workflows import Item, Order, order


def main() -> None:
    """Call a Celery task and run a workflow, side by side."""
    basket = [Item(name="teapot", price=30), Item(name="cup", count=4, price=5)]
    print("in the cart:", total.delay([item.count * item.price for item in basket]).get(timeout=20))
    with open_engine() as engine:
        run = engine.start_sync(order, Order(customer="Ada", items=basket))
        print("order:", run.id)
        print(run.result_sync(timeout=20).unwrap().model_dump_json())


if __name__ == "__main__":
    main()
