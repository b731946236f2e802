from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("finance_sentiment", "0008_desk")]

    operations: list[migrations.operations.base.Operation] = []
