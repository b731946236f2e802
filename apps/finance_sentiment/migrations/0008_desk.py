from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("finance_sentiment", "0007_alerting")]

    operations: list[migrations.operations.base.Operation] = []
