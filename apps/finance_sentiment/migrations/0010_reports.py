from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("finance_sentiment", "0009_loop")]

    operations: list[migrations.operations.base.Operation] = []
